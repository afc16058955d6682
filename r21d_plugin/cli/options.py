"""Values of a config that the command line overrides (``--cfg-options``)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config

from .._errors import InputError, first_line
from .config_check import check_option

TEXT_KEY = re.compile(r'(^|[._])(root|dir|file|path|prefix|from)$')
"""Keys whose values are names of files, which may look like numbers."""


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Override values of a config by dotted keys; numbers are the indices of lists.

    An InputError is raised for a key that nothing reads.
    """
    for key, value in options.items():
        current = check_option(cfg, key)
        with errors_of_option(key, value):
            cfg.merge_from_dict({key: parse_option(key, value, isinstance(current, str))})


@contextmanager
def errors_of_option(key: str, value: Any) -> Iterator[None]:
    """Raise what goes wrong with an option as an InputError that names it."""
    try:
        yield
    except (TypeError, KeyError, IndexError, ValueError, SyntaxError) as error:
        raise InputError(f'--cfg-options {key}={value}: {first_line(error)}') from error


def parse_option(key: str, value: Any, is_text: bool) -> Any:
    """Read the value of an option: text as :func:`parse_value` does.

    Where the config has text (``is_text``), or the key is that of a file, it stays text.
    """
    if not isinstance(value, str):
        return value
    return parse_text(value) if is_text or TEXT_KEY.search(key) else parse_value(value)


def parse_text(value: str) -> Any:
    """Read a value that is text, a list of texts or None."""
    return parse_value(value) if value == 'None' or is_quoted(value) or is_list(value) else value


def parse_value(value: str) -> Any:
    """Read a number, True, False, None, a list, tuple or dict; anything else is text as it stands.

    ``[a,b]`` and ``(a,b)`` need no quotes inside, and lists of numbers no brackets.
    """
    bare = value.strip()
    if is_quoted(bare):
        return bare[1:-1]
    if is_list(bare):
        items = [parse_value(part.strip()) for part in split_at_commas(bare[1:-1])]
        return tuple(items) if bare[0] == '(' else items
    if bare[:1] + bare[-1:] == '{}':
        return ast.literal_eval(bare)
    if bare.lower() in ('true', 'false'):
        return bare.lower() == 'true'
    if bare == 'None':
        return None
    numbers = [parse_number(part) for part in bare.split(',')]
    if None in numbers:
        return value
    return numbers[0] if len(numbers) == 1 else numbers


def is_quoted(value: str) -> bool:
    """Whether a value stands in quotation marks."""
    return len(value) > 1 and value[0] == value[-1] and value[0] in '\'"'


def is_list(value: str) -> bool:
    """Whether a value stands in brackets or parentheses."""
    return value[:1] + value[-1:] in ('[]', '()')


def parse_number(value: str) -> float | None:
    """Read a number; None if it is none."""
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    return None


def split_at_commas(text: str) -> list[str]:
    """Split at the commas that stand in no inner brackets."""
    parts, depth = [''], 0
    for letter in text:
        depth += (letter in '([{') - (letter in ')]}')
        if letter == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += letter
    return [part for part in parts if part.strip()]

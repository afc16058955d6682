"""Override values of a config from the command line (``--cfg-options``)."""

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
"""Keys whose values are file names, which may look like numbers."""


def merge_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Override values of a config by dotted keys; numbers in keys are list indices.

    Raises an InputError for a key that has no effect.
    """
    for key, value in options.items():
        current = check_option(cfg, key)
        with errors_of_option(key, value):
            cfg.merge_from_dict(nested(key, parse_option(key, value, isinstance(current, str))))


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return an option for MMEngine; below ``custom_keys``, names of parameters have dots."""
    path, _, rest = key.partition('.custom_keys.')
    name, _, last = rest.rpartition('.')
    return {f'{path}.custom_keys': {name: {last: value}}} if name else {key: value}


@contextmanager
def errors_of_option(key: str, value: Any) -> Iterator[None]:
    """Context manager: convert an exception to an InputError that names the option."""
    try:
        yield
    except (TypeError, KeyError, IndexError, ValueError, SyntaxError) as error:
        raise InputError(f'--cfg-options {key}={value}: {first_line(error)}') from error


def parse_option(key: str, value: Any, is_text: bool) -> Any:
    """Parse the value of an option; strings are parsed by :func:`parse_value`.

    If the config has a string (``is_text``), or the key names a file, the value remains a string.
    """
    if not isinstance(value, str):
        return value
    return parse_text(value) if is_text or TEXT_KEY.search(key) else parse_value(value)


def parse_text(value: str) -> Any:
    """Parse a value that is a string, a list of strings or None."""
    return parse_value(value) if value == 'None' or is_quoted(value) or is_list(value) else value


def parse_value(value: str) -> Any:
    """Parse a number, True, False, None, a list, tuple or dict; other values remain strings.

    ``[a,b]`` and ``(a,b)`` need no quotes inside, and lists of numbers need no brackets.
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
    """Whether a value is in quotation marks."""
    return len(value) > 1 and value[0] == value[-1] and value[0] in '\'"'


def is_list(value: str) -> bool:
    """Whether a value is in brackets or parentheses."""
    return value[:1] + value[-1:] in ('[]', '()')


def parse_number(value: str) -> float | None:
    """Parse a number; None if it is invalid."""
    for number in (int, float):
        try:
            return number(value)
        except ValueError:
            continue
    return None


def split_at_commas(text: str) -> list[str]:
    """Split at commas outside of brackets."""
    parts, depth = [''], 0
    for letter in text:
        depth += (letter in '([{') - (letter in ')]}')
        if letter == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += letter
    return [part for part in parts if part.strip()]

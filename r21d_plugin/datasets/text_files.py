"""Text files with one entry per line: annotation files, lists of videos, tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from math import isfinite
from pathlib import Path

from .._errors import InputError

MAX_LINE = 8192  # characters; sufficient for the longest path (4096) and labels


def read_lines(
    path: Path, name: str | None = None, errors: str = 'strict'
) -> Iterator[tuple[str, str]]:
    """Read the lines of a UTF-8 file, one at a time, with any line ends; skip empty lines.

    Yields each line without surrounding white space, and its place, such as
    ``'train.txt, line 3'``. Messages use ``name`` for the file. ``errors`` is an argument of
    :func:`open`.
    """
    name = name or str(path)
    for number, line in enumerate(_lines(path, name, errors), start=1):
        if line := line.strip():
            yield line, f'{name}, line {number}'


def read_table(path: Path, needed: Sequence[str]) -> Iterator[tuple[dict[str, str], str]]:
    """Read the rows of a UTF-8 file with columns separated by commas, semicolons or tabs.

    Yields each row as a dict with the column names of the first line (in lower case) as keys, and
    its place. Raises an InputError if one of the ``needed`` columns is missing.
    """
    lines = _lines(path, str(path), 'strict')
    header = next(lines, '')
    delimiter = max(',;\t', key=header.count)
    reader = csv.reader(chain([header], lines), delimiter=delimiter, strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader)]
        for name in columns:
            if name and columns.count(name) > 1:
                raise InputError(f'{path}, line 1: several columns {name}: leave one')
        for name in needed:
            if name not in columns:
                found = ', '.join(columns)[:200]
                raise InputError(f'{path}, line 1: the columns are {found}: {name} is missing')
        for values in reader:
            where = f'{path}, line {reader.line_num}'
            if len(values) not in (0, len(columns)):
                raise InputError(f'{where}: {len(values)} columns, not {len(columns)}')
            if any(values):
                yield dict(zip(columns, map(str.strip, values))), where
    except csv.Error as error:
        raise InputError(f'{path}, line {reader.line_num}: {error}') from error


def _lines(path: Path, name: str, errors: str) -> Iterator[str]:
    """Read the lines of a text file, of bounded length; raise an InputError if it is not text."""
    try:
        with path.open(encoding='utf-8-sig', errors=errors) as file:
            read = iter(partial(file.readline, MAX_LINE + 1), '')
            for number, line in enumerate(read, start=1):
                if len(line) > MAX_LINE:
                    problem = f'longer than {MAX_LINE} characters'
                    raise InputError(f'{name}, line {number}: {problem}: is it a list?')
                if '\0' in line:
                    raise InputError(f'{name}, line {number}: not text in UTF-8: is it a list?')
                yield line
    except OSError as error:
        raise InputError(f'{name}: cannot read it: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'{name}: not a text file in UTF-8') from error


def read_label(word: str) -> int | None:
    """Parse a class number; None if it is invalid."""
    return int(word) if word.isdecimal() and len(word) <= 9 else None


def read_number(word: str) -> float | None:
    """Parse a finite number; None if it is invalid."""
    try:
        number = float(word)
    except ValueError:
        return None
    return number if isfinite(number) else None


def read_numbers(words: Sequence[str]) -> list[float] | None:
    """Parse finite numbers; None if any word is not one."""
    found = [number for word in words if (number := read_number(word)) is not None]
    return found if len(found) == len(words) else None


def quote(text: str) -> str:
    """Quote text, truncated to 200 characters."""
    return repr(text if len(text) <= 200 else f'{text[:200]}...')

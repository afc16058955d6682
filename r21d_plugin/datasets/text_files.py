"""Text files with one entry per line: annotation files, lists of videos."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .._errors import InputError

MAX_LINE = 8192  # characters: the longest path (4096), and labels


def read_lines(
    path: Path, name: str | None = None, errors: str = 'strict'
) -> Iterator[tuple[str, str]]:
    """Read the lines of a UTF-8 file, one at a time, with any line ends; empty ones are left out.

    Yields each without surrounding white space, and its place, such as ``'train.txt, line 3'``.
    Messages call the file ``name``. ``errors`` is what :func:`open` does with other bytes.
    """
    name = name or str(path)
    number = 0
    try:
        with path.open(encoding='utf-8-sig', errors=errors) as file:
            while line := file.readline(MAX_LINE + 1):
                number += 1
                where = f'{name}, line {number}'
                if len(line) > MAX_LINE:
                    raise InputError(f'{where}: longer than {MAX_LINE} characters: is it a list?')
                if '\0' in line:
                    raise InputError(f'{where}: not text in UTF-8: is it a list?')
                if line.strip():
                    yield line.strip(), where
    except OSError as error:
        raise InputError(f'{name}: cannot read it: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'{name}: not a text file in UTF-8') from error


def quote(text: str) -> str:
    """Text in quotes, cut to 200 characters."""
    return repr(text if len(text) <= 200 else f'{text[:200]}...')

"""Text files that are read a line at a time, whatever their size."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from .._errors import InputError

LONGEST = 8192
"""Characters that a line may have: a path of the longest kind (4096), and labels."""

LARGEST = 2**28
"""Bytes that an annotation file may have, some millions of lines."""

MOST = 10_000_000
"""Lines that it may have: a dataset takes half a KiB of memory for each."""


def read_lines(path: Path, name: str | None = None) -> Iterator[tuple[str, str]]:
    """Read a file's lines, with any line ends, and where each is.

    Empty lines are left out. No more than a line is in memory at a time.

    Args:
        path (Path): The file.
        name (str, optional): What to call it. Defaults to None: its path.

    Yields:
        tuple[str, str]: A line, without white space around it, and its place
        in words.

    Raises:
        InputError: If the file is missing, not text, or larger than
            annotations are, or a line is.
    """
    name = name or str(path)
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(
                f'{name}: {path.stat().st_size:,} bytes, and lists of videos have at most '
                f'{LARGEST:,}: split it'
            )
        with path.open(encoding='utf-8-sig') as file:
            for number in count(1):
                line = file.readline(LONGEST + 1)
                if not line:
                    return
                where = f'{name}, line {number}'
                if number > MOST:
                    raise InputError(
                        f'{where}: lists of videos have at most {MOST:,} lines: split it'
                    )
                if len(line) > LONGEST:
                    raise InputError(
                        f'{where}: longer than {LONGEST} characters: is it a list of videos?'
                    )
                if line.strip():
                    yield line.strip(), where
    except OSError as error:
        raise InputError(f'{name}: cannot read it: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'{name}: not a text file in UTF-8') from error


def quoted(line: str) -> str:
    """A line in quotes, as much of it as fits a message."""
    return repr(line if len(line) <= 200 else f'{line[:200]}...')

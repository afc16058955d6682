"""Atomic file writing: write to a temporary file, then rename."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ._errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that is full, or of a quota or limit that is reached."""


@contextmanager
def naming_the_file(path: Path | str) -> Iterator[None]:
    """Turn what goes wrong while a file is written into one line that names it.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f'{path}: cannot write there: {in_words(error)}') from error


def in_words(error: OSError) -> str:
    """Why something cannot be written."""
    if error.errno is None:  # NumPy's, of a write that came to an end too early
        return f'{error} bytes: is the disk full?'
    return os.strerror(error.errno) + (': make room there' if error.errno in FULL else '')


@contextmanager
def written_whole(path: Path, parents: bool = False) -> Iterator[Path]:
    """Write a file under another name, which becomes its own at the end of the block.

    A block that raises leaves nothing, and what a kill leaves begins with a
    dot and is written over the next time.

    Args:
        path (Path): The file.
        parents (bool): Whether to make its folder if there is none. Defaults to
            False.

    Yields:
        Path: File to write, with the same extension.

    Raises:
        InputError: If it cannot be written.
    """
    partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
    with naming_the_file(path):
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink()


def write_json(path: Path, content: Any, parents: bool = False, indent: int | None = 2) -> None:
    """Write a JSON file, as :func:`written_whole` does."""
    with written_whole(path, parents) as partial:
        partial.write_text(json.dumps(content, indent=indent, ensure_ascii=False) + '\n', 'utf-8')

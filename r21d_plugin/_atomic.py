"""Atomic file writing: write to a temporary file, then rename."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from ._errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota or limit reached


def write_failure(error: OSError) -> str:
    """Describe why a file cannot be written, and the remedy if there is one."""
    if error.errno is None:  # raised by NumPy for an incomplete write
        return f'{error} bytes: is the disk full?'
    if isinstance(error, FileExistsError):  # raised by mkdir
        return f'{error.filename} is not a folder'
    return os.strerror(error.errno) + (': make room there' if error.errno in FULL else '')


@contextmanager
def name_file_on_error(path: Path | str) -> Iterator[None]:
    """Context manager: convert an OSError to an InputError that names the file."""
    try:
        yield
    except OSError as error:
        raise InputError(f'{path}: cannot write there: {write_failure(error)}') from error


@contextmanager
def atomic_write(path: Path, parents: bool = False) -> Iterator[Path]:
    """Context manager: provide a temporary file to write, and rename it when the block ends.

    The temporary file has the same extension and is in the same folder, which is created if
    ``parents`` is set. If the block raises, the file is removed. A killed process leaves a file
    whose name begins with a dot, which the next attempt overwrites. Raises an InputError if the
    file cannot be written.
    """
    partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
    with name_file_on_error(path):
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink()


def check_writable(path: Path) -> None:
    """Create the folder of a file to be written later; raise an InputError if it is not writable.

    An existing file is left unchanged.
    """
    with name_file_on_error(path):
        if path.is_dir():
            raise InputError(f'{path}: cannot write there: it is a folder: name a file')
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f'.{path.stem}.', suffix=path.suffix):
            pass


def write_json(path: Path, content: object, parents: bool = False, indent: int | None = 2) -> None:
    """Write a JSON file atomically (see :func:`atomic_write`)."""
    with atomic_write(path, parents) as partial:
        partial.write_text(json.dumps(content, indent=indent, ensure_ascii=False) + '\n', 'utf-8')

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
    """Reason why something cannot be written, and the remedy where there is one."""
    if error.errno is None:  # NumPy's, of a write that ended too early
        return f'{error} bytes: is the disk full?'
    if isinstance(error, FileExistsError):  # mkdir's
        return f'{error.filename} is no folder'
    return os.strerror(error.errno) + (': make room there' if error.errno in FULL else '')


@contextmanager
def name_file_on_error(path: Path | str) -> Iterator[None]:
    """Turn an OSError of the block into an InputError that names the file."""
    try:
        yield
    except OSError as error:
        raise InputError(f'{path}: cannot write there: {write_failure(error)}') from error


@contextmanager
def atomic_write(path: Path, parents: bool = False) -> Iterator[Path]:
    """Give the block a temporary file to write, and rename it when the block ends.

    The temporary file is in the same folder (made if ``parents``), with the same extension. A block
    that raises leaves nothing behind; a killed process leaves a file whose name begins with a dot,
    which the next attempt overwrites. An InputError is raised if the file cannot be written.
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
    """Make the folder of a file to be written later; an InputError if one cannot be written there.

    An existing file is left as it is.
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

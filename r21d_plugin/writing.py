"""Files that appear when they are complete."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import InputError


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
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink()
    except OSError as error:
        raise InputError(f'{path}: cannot write there: {error.strerror or error}') from error


def write_json(path: Path, content: Any, parents: bool = False, indent: int | None = 2) -> None:
    """Write a JSON file, as :func:`written_whole` does."""
    with written_whole(path, parents) as partial:
        partial.write_text(json.dumps(content, indent=indent, ensure_ascii=False) + '\n', 'utf-8')

"""Property of pickles.

They give data no larger than the file, or an error; for weights, an error of one line.
"""

from __future__ import annotations

import codecs
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import assert_one_line
from torch import Tensor
from torch.utils.serialization import config  # noqa: F401 - torch.load imports it when first called

from r21d_plugin import InputError
from r21d_plugin.weights import load_pickle_as_data, load_state_dict_of

INSTRUMENTED = [
    'pickletools',
    'r21d_plugin.weights.pickles',
    'r21d_plugin.weights.checkpoint_files',
]

HARM = ('exec', 'compile', 'import', 'os.', 'subprocess.', 'socket.', 'ctypes.', 'shutil.')
"""Prefixes of the audit events that weights must not cause."""

for name in ('ascii', 'cp437', 'latin_1', 'raw_unicode_escape', 'unicode_escape'):
    codecs.lookup(name)  # imported now, or torch would import them while it is watched

watching = False


def watch(event: str, args: tuple) -> None:
    """Audit hook: fail if reading weights runs code or opens a file for writing."""
    written = event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+')
    if watching and (written or event.startswith(HARM)):
        raise SystemError(f'{event} {args}')


sys.addaudithook(watch)


@contextmanager
def watched() -> Iterator[None]:
    """Context manager: watch the block."""
    global watching  # noqa: PLW0603
    watching = True
    try:
        yield
    finally:
        watching = False


def load(path: Path) -> dict | None:
    """Load weights and watch; None if they are refused, in one line."""
    try:
        with watched():
            return load_state_dict_of(str(path))
    except InputError as error:
        if 'SystemError' in repr(error.__cause__):
            raise error.__cause__ from None
        assert_one_line(error)
        return None


def load_data(path: Path) -> Any:
    """Load data and watch; None if it is refused."""
    try:
        with watched():
            return load_pickle_as_data(path)
    except SystemError:
        raise
    except Exception:
        return None


def tensors_of(data: Any, seen: set[int]) -> Iterator[Tensor]:
    """Tensors in containers, each once."""
    if id(data) not in seen:
        seen.add(id(data))
        if isinstance(data, Tensor):
            yield data
        elif isinstance(data, (dict, list, tuple)):
            for item in data.values() if isinstance(data, dict) else data:
                yield from tensors_of(item, seen)


def check(data: bytes) -> None:
    """Read a test case, the content of a file, as weights and as data."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'a.pkl')
        path.write_bytes(data)
        weights, content = load(path), load_data(path)
    if weights is not None:
        arrays = weights.values()
        assert all(isinstance(array, Tensor) for array in arrays)
        # Names may share an array.
        stored = {a.untyped_storage().data_ptr(): a.untyped_storage().nbytes() for a in arrays}
        assert sum(stored.values()) <= len(data)
    assert sum(tensor.nbytes for tensor in tensors_of(content, set())) <= len(data)

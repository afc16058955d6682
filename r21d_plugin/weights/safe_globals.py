"""Replacements for the functions of NumPy and MMEngine that an untrusted pickle names.

NumPy's own accept any state: element types that claim to be objects, arrays that are refilled
while in use. These hold numbers only.
"""

import sys
from pickle import UnpicklingError
from typing import Any

import numpy as np


class RefusalError(ValueError):
    """A pickle names or does something that is not allowed."""


NUMBERS = ('b1', 'f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1')
"""Element types that both arrays and tensors can have."""


class NumberType:
    """Replaces ``numpy.dtype``: a type of numbers by its code, such as ``'f4'``."""

    def __init__(self, code: str, *flags: object) -> None:
        if code not in NUMBERS:
            raise RefusalError('an array of something else than numbers')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        """Take the byte order; flags such as 'contains objects' are dropped."""
        if state[1] == '>':
            self.dtype = self.dtype.newbyteorder('>')


class NumberArray(np.ndarray):
    """Replaces ``numpy.ndarray``: empty until its state is set, once. Pickled as NumPy's own."""

    def __new__(cls, *_: object) -> 'NumberArray':
        """An empty array, whatever the arguments."""
        return super().__new__(cls, 0, 'u1')

    def __setstate__(self, state: Any) -> None:
        """Set version, shape, element type, order and content."""
        _, shape, number_type, fortran, content = state
        if self.size:
            raise RefusalError('an array that is filled twice')
        if not isinstance(content, bytes | str):  # str: bytes that Python 2 wrote
            raise RefusalError('an array of something else than numbers')
        filled: Any = (1, shape, number_type.dtype, fortran, content)
        super().__setstate__(filled)

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()


def scalar(number_type: NumberType, content: bytes) -> np.generic:
    """Replaces ``numpy._core.multiarray.scalar``: a number from its bytes."""
    (value,) = np.frombuffer(content, number_type.dtype)
    return value


class Statistics:
    """Replaces MMEngine's HistoryBuffer where MMEngine is not loaded; its state is dropped."""

    def __setstate__(self, state: dict) -> None:
        """Drop the state."""

    min = max = mean = current = None


def history_buffer() -> type:
    """MMEngine's HistoryBuffer, which is in every checkpoint of MMEngine."""
    loaded = sys.modules.get('mmengine.logging.history_buffer')
    return loaded.HistoryBuffer if loaded else Statistics


def statistics_method(owner: type, name: str) -> Any:
    """Replaces ``getattr``: a statistic of a HistoryBuffer, and nothing else."""
    if owner is not history_buffer() or name not in ('min', 'max', 'mean', 'current'):
        raise UnpicklingError(f'getattr({owner!r}, {name!r}) in a checkpoint')
    return getattr(owner, name)


def mmengine_globals() -> list:
    """What ``torch.load`` has to admit besides tensors in a checkpoint of MMEngine.

    MMEngine 0.10.7 pickles its message hub, with NumPy scalars inside, into every checkpoint.
    """
    return [
        (history_buffer(), 'mmengine.logging.history_buffer.HistoryBuffer'),
        (statistics_method, 'builtins.getattr'),
        (NumberType, 'numpy.dtype'),
        (NumberArray, 'numpy.ndarray'),
        (NumberArray, 'numpy.core.multiarray._reconstruct'),
        (NumberArray, 'numpy._core.multiarray._reconstruct'),
        (scalar, 'numpy.core.multiarray.scalar'),
        (scalar, 'numpy._core.multiarray.scalar'),
    ]

"""What stands for NumPy's own functions while a stranger's pickle is read: numbers, and no more.

NumPy's own take any state that a pickle gives them: types of elements that
claim to be objects, or arrays that are filled anew while others look at them.
"""

import sys
from pickle import UnpicklingError
from typing import Any

import numpy as np


class RefusalError(ValueError):
    """A pickle names, or does, something that it may not."""


NUMBERS = ('b1', 'f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1')
"""Types of array that a tensor can have."""


class DType:
    """What a pickle says of the type of an array's elements.

    Args:
        code (str): Kind and size, such as ``'f4'``.
        *flags (object): Two flags of NumPy's that do not matter here.

    Raises:
        RefusalError: If it is not the type of a number.
    """

    def __init__(self, code: str, *flags: object) -> None:
        if code not in NUMBERS:
            raise RefusalError('an array of something else than numbers')
        self.numpy = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] == '>':
            self.numpy = self.numpy.newbyteorder('>')


class Numbers(np.ndarray):
    """An array of numbers, empty until a pickle fills it, which it does once.

    It is pickled as NumPy's own.
    """

    def __new__(cls, *_: object) -> 'Numbers':
        """An empty array, whatever is asked for."""
        return super().__new__(cls, 0, 'u1')

    def __setstate__(self, state: Any) -> None:
        """Take version, shape, type, order and content.

        Raises:
            RefusalError: If it has a content already.
        """
        if self.size:
            raise RefusalError('an array that is filled twice')
        _, shape, dtype, fortran, content = state
        super().__setstate__((1, shape, dtype.numpy, fortran, bytes(content)))

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()


def reconstruct(*_: object) -> Numbers:
    """What NumPy makes an empty array with, to be filled."""
    return Numbers()


def scalar(dtype: DType, content: bytes) -> np.generic:
    """A number from its bytes."""
    (value,) = np.frombuffer(content, dtype.numpy)
    return value


class Statistics:
    """What stands for MMEngine's HistoryBuffer where MMEngine is not loaded."""

    def __setstate__(self, state: dict) -> None:
        """Take the state, which nothing here reads."""

    min = max = mean = current = None


def history_buffer() -> type:
    """MMEngine's HistoryBuffer, which it keeps in every checkpoint."""
    loaded = sys.modules.get('mmengine.logging.history_buffer')
    return loaded.HistoryBuffer if loaded else Statistics


def statistics_method(owner: type, name: str) -> Any:
    """Look up a statistic of a HistoryBuffer, and nothing else.

    Raises:
        UnpicklingError: If something else is asked for.
    """
    if owner is not history_buffer() or name not in ('min', 'max', 'mean', 'current'):
        raise UnpicklingError(f'getattr({owner!r}, {name!r}) in a checkpoint')
    return getattr(owner, name)


def mmengine_globals() -> list:
    """What a checkpoint of MMEngine may name besides tensors, for ``torch.load``.

    MMEngine 0.10.7 pickles its message hub, with NumPy scalars inside, into every checkpoint.
    What is admitted only holds data; of ``getattr`` no more than the buffers' use of it.
    """
    return [
        (history_buffer(), 'mmengine.logging.history_buffer.HistoryBuffer'),
        (statistics_method, 'builtins.getattr'),
        (DType, 'numpy.dtype'),
        (Numbers, 'numpy.ndarray'),
        (reconstruct, 'numpy.core.multiarray._reconstruct'),
        (reconstruct, 'numpy._core.multiarray._reconstruct'),
        (scalar, 'numpy.core.multiarray.scalar'),
        (scalar, 'numpy._core.multiarray.scalar'),
    ]

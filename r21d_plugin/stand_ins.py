"""What stands for NumPy's own functions while a stranger's pickle is read: numbers, and no more.

NumPy's own take any state that a pickle gives them: types of elements that
claim to be objects, or arrays that are filled anew while others look at them.
"""

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


def encode(content: str, encoding: str) -> bytes:
    """Bytes, as the protocols of Python 2 have them.

    Python's own knows encodings that double what they are given.

    Raises:
        RefusalError: If the encoding is another than that of pickled bytes.
    """
    if encoding not in ('latin1', 'latin-1'):
        raise RefusalError(f'text in {encoding!r}')
    return content.encode('latin-1')


def mutable_bytes(*content: Any) -> bytearray:
    """An array of bytes from its content; Python's own also makes one of any number of zeros.

    Raises:
        RefusalError: If there is no content.
    """
    if content and not isinstance(content[0], str | bytes):
        raise RefusalError('an array of bytes without content')
    return bytearray(*content)

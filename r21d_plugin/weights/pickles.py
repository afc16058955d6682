"""Reading pickles that strangers wrote: data, and nothing that could run.

A pickle is a program: it can name any function of any module and call it. The
unpickler here looks names up in a table and refuses all others before anything
is called.
"""

import encodings
import pickle
import pickletools
import pkgutil
from collections.abc import Callable, Mapping
from encodings.aliases import aliases
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..stand_ins import DType, RefusalError

KEYS: dict[bytes, slice] = {
    pickle.SETITEM: slice(-2, -1),
    pickle.SETITEMS: slice(None, None, 2),
    pickle.DICT: slice(None, None, 2),
    pickle.ADDITEMS: slice(None),
    pickle.FROZENSET: slice(None),
}
"""What hashes objects, and which ones on the unpickler's stack."""


REFUSED = {
    pickle.BYTEARRAY8: 'an array of bytes',  # Python makes as much room as it claims to need
    # Python remembers what these mean, past find_class.
    **dict.fromkeys((pickle.EXT1, pickle.EXT2, pickle.EXT4), 'an extension'),
}
"""What no pickle of weights has in it."""


def refusing(what: str) -> Callable[[Any], None]:
    """Have something refused."""

    def refuse(unpickler: Any) -> None:
        raise RefusalError(what)

    return refuse


def with_plain_keys(load: Callable[[Any], None], keys: slice) -> Callable[[Any], None]:
    """Have keys checked before they are hashed, which nested tuples can make last for ever."""

    def checked(unpickler: Any) -> None:
        if not all(isinstance(key, str | bytes | int) for key in unpickler.stack[keys]):
            raise RefusalError('keys that are neither strings nor numbers')
        load(unpickler)

    return checked


class RestrictedUnpickler(pickle._Unpickler):
    """Unpickler that knows a few names.

    It is Python's own in Python: the one in C makes room for as many objects
    as a pickle claims to have, gigabytes if it lies.

    Args:
        file (BinaryIO): The pickle.
        allowed (Mapping[tuple[str, str], Any]): What stands for a name, by
            module and name.
        encoding (str): Encoding of Python 2's strings. Defaults to
            ``'latin-1'``, in which bytes keep their values.
    """

    def __init__(
        self, file: BinaryIO, allowed: Mapping[tuple[str, str], Any], encoding: str = 'latin-1'
    ) -> None:
        super().__init__(file, encoding=encoding)
        self.allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """Look up what the pickle names.

        Raises:
            RefusalError: If it is not in the table.
        """
        if (module, name) not in self.allowed:
            raise RefusalError(f'{module}.{name}')
        return self.allowed[module, name]

    def load_build(self) -> None:
        """Give an object its state, if it has a method for that.

        Python would set attributes of anything else, functions included.

        Raises:
            RefusalError: If it has none.
        """
        target = self.stack[-2]  # type: ignore[attr-defined]
        if isinstance(target, type) or not hasattr(target, '__setstate__'):
            raise RefusalError(f'attributes for a {type(target).__name__}')
        super().load_build()  # type: ignore[misc]

    dispatch: ClassVar[dict] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        **{code[0]: refusing(what) for code, what in REFUSED.items()},
        **{
            code[0]: with_plain_keys(pickle._Unpickler.dispatch[code[0]], keys)
            for code, keys in KEYS.items()
        },
    }


class Array:
    """What a pickle says of an array, which nothing has been allocated for yet.

    Args:
        *empty (object): What NumPy makes an empty array of, to be filled.
    """

    def __init__(self, *empty: object) -> None:
        self.nbytes = 0

    def __setstate__(self, state: tuple) -> None:
        """Take version, shape, type, order and content.

        Raises:
            RefusalError: If the content is not as large as the shape.
        """
        _, self.shape, dtype, self.fortran, self.content = state
        if not all(type(size) is int and size >= 0 for size in self.shape):
            raise RefusalError('an array without a shape')
        self.dtype = dtype.numpy
        self.nbytes = prod(self.shape) * self.dtype.itemsize
        if self.nbytes != len(self.content):
            raise RefusalError(f'an array of {self.nbytes} bytes with {len(self.content)}')

    def tensor(self) -> Tensor:
        """The array itself."""
        content = self.content
        if isinstance(content, str):
            content = content.encode('latin-1')
        flat = np.frombuffer(content, self.dtype)
        array = flat.reshape(self.shape, order='F' if self.fortran else 'C')
        return torch.from_numpy(array.astype(self.dtype.newbyteorder('='), order='C'))


ARRAYS: dict[tuple[str, str], Any] = {
    ('numpy', 'dtype'): DType,
    ('numpy', 'ndarray'): 'ndarray',  # named, never called
    ('numpy.core.multiarray', '_reconstruct'): Array,
    ('numpy._core.multiarray', '_reconstruct'): Array,
    # How Python 3 writes bytes in the protocols of Python 2: decoded, with this to encode them.
    ('_codecs', 'encode'): lambda content, encoding: content,
}
"""What stands for the names in a pickle of arrays: data in place of NumPy's own functions."""


def read_blobs(path: Path) -> dict[str, Tensor]:
    """Read a pickle of arrays by name, such as Caffe2's ``{'blobs': {name: array}}``.

    Args:
        path (Path): The file.

    Raises:
        RefusalError: If it holds anything but numbers, strings, containers and
            arrays, or arrays of more bytes than the file has.
    """
    with path.open('rb') as file:
        content = RestrictedUnpickler(file, ARRAYS).load()
    blobs = content.get('blobs', content) if isinstance(content, dict) else {}
    if not blobs or not all(
        isinstance(name, str) and isinstance(blob, Array) for name, blob in blobs.items()
    ):
        raise RefusalError('something else than arrays by name')
    arrays = {id(blob): blob for blob in blobs.values()}
    if sum(array.nbytes for array in arrays.values()) > path.stat().st_size:
        raise RefusalError('arrays that are larger than the file')
    tensors = {key: array.tensor() for key, array in arrays.items()}
    return {name: tensors[id(blob)] for name, blob in blobs.items()}


CODECS = {module.name for module in pkgutil.iter_modules(encodings.__path__)}.union(aliases)
"""Names, as Python normalises them, of the encodings that it can load."""


def check_expansion(file: Any, pickles: int = 1) -> None:
    """Check that pickles ask for no more memory than they have bytes.

    torch lets a pickle call ``bytearray(n)``, and ``_codecs.encode`` with encodings that double
    what they encode: some hundred bytes of file become gigabytes.

    Args:
        file (BinaryIO): What to read, from where the first pickle begins.
        pickles (int): How many there are, one after the other. Defaults to 1.

    Raises:
        RefusalError: If one names such a thing.
    """
    for _ in range(pickles):
        encodes = False
        arguments: set[str] = set()
        text: str | None = None
        memo: dict[Any, str | None] = {}
        for opcode, value, _ in pickletools.genops(file):
            if opcode.name in ('GLOBAL', 'STACK_GLOBAL'):
                if value in ('builtins bytearray', '__builtin__ bytearray'):
                    raise RefusalError('an array of bytes')
                encodes |= value == '_codecs encode'
                text = None
            elif 'PUT' in opcode.name:
                memo[str(value)] = text
            elif 'GET' in opcode.name:
                text = memo.get(str(value))
            else:
                if opcode.name in ('TUPLE', 'TUPLE2') and text is not None:
                    arguments.add(text)  # the last one of a call
                text = value if isinstance(value, str) else None
        for codec in sorted(arguments - {'latin1', 'latin-1'}):
            if encodes and encodings.normalize_encoding(codec).lower() in CODECS:
                raise RefusalError(f'text in {codec!r}')

"""Reading untrusted pickles: data only, no code, no more memory than the file justifies.

A pickle is a program that names functions and calls them. Here names are looked up in a table;
any other name is refused before anything is called.
"""

import encodings
import pickle
import pickletools
import pkgutil
import re
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from encodings.aliases import aliases
from functools import partial
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import torch
from torch import Tensor
from torch.serialization import MAGIC_NUMBER

from .safe_globals import NumberArray, NumberType, RefusalError, scalar

LEGACY_PICKLES = 5
"""Magic number, protocol, system, content and storage keys: torch's format before its zip files."""

KEYS: dict[bytes, slice] = {
    pickle.SETITEM: slice(-2, -1),
    pickle.SETITEMS: slice(None, None, 2),
    pickle.DICT: slice(None, None, 2),
    pickle.ADDITEMS: slice(None),
    pickle.FROZENSET: slice(None),
}
"""Opcodes that hash objects, and where these are on the unpickler's stack."""

REFUSED = {
    pickle.BYTEARRAY8: 'an array of bytes',  # allocated before it is read
    # Python caches what these stand for, and then skips find_class.
    **dict.fromkeys((pickle.EXT1, pickle.EXT2, pickle.EXT4), 'an extension'),
}
"""Opcodes that no data needs."""


TUPLES = dict(TUPLE=3, TUPLE1=1, TUPLE2=2, TUPLE3=3)
"""Opcodes that make tuples, and how many items may be arguments of ``_codecs.encode``."""

MORE = 'more data than the file has room for'


def refuse(what: str, unpickler: Any) -> None:
    """Opcode handler that refuses."""
    raise RefusalError(what)


def check_keys(load: Callable[[Any], None], keys: slice, unpickler: Any) -> None:
    """Opcode handler that checks keys first: hashing a nested tuple can take for ever."""
    if not all(isinstance(key, str | bytes | int) for key in unpickler.stack[keys]):
        raise RefusalError('keys that are neither strings nor numbers')
    load(unpickler)


class RestrictedUnpickler(pickle._Unpickler):
    """Unpickler that knows a few names and makes no more data than the file is large.

    It extends Python's unpickler in Python: the one in C allocates as many objects as a pickle
    claims to have. Strings of Python 2 are decoded as latin-1, which keeps the values of bytes.

    Args:
        file (BinaryIO): The pickle, a whole file.
        allowed (Mapping[tuple[str, str], Any]): What a name stands for, by module and name.
    """

    def __init__(self, file: BinaryIO, allowed: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file, encoding='latin-1')
        self.allowed = allowed
        self.classes = tuple(value for value in allowed.values() if isinstance(value, type))
        self.limit = file.seek(0, SEEK_END)
        file.seek(0)
        self.nbytes: Counter[type] = Counter()

    def find_class(self, module: str, name: str) -> Any:
        """Look up a name in the table; any other is refused."""
        if (module, name) not in self.allowed:
            raise RefusalError(f'{module}.{name}')
        return self.allowed[module, name]

    def count(self, value: Any) -> None:
        """Limit the bytes of each type of data, which repeated calls could multiply."""
        size = len(value) if isinstance(value, bytes) else getattr(value, 'nbytes', 0)
        self.nbytes[type(value)] += size
        if self.nbytes[type(value)] > self.limit:
            raise RefusalError(MORE)

    def load_reduce(self) -> None:
        """Call a function."""
        super().load_reduce()  # type: ignore[misc]
        self.count(self.stack[-1])  # type: ignore[attr-defined]

    def _instantiate(self, klass: Any, args: Any) -> None:
        raise RefusalError('an instance of Python 2')

    def load_build(self) -> None:
        """Set the state of an instance of the table's classes; Python would set any attribute."""
        target = self.stack[-2]  # type: ignore[attr-defined]
        if not isinstance(target, self.classes) or not hasattr(target, '__setstate__'):
            raise RefusalError(f'attributes for a {type(target).__name__}')
        super().load_build()  # type: ignore[misc]
        self.count(target)

    dispatch: ClassVar[dict] = {
        **pickle._Unpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.BUILD[0]: load_build,
        **{code[0]: partial(refuse, what) for code, what in REFUSED.items()},
        **{
            code[0]: partial(check_keys, pickle._Unpickler.dispatch[code[0]], keys)
            for code, keys in KEYS.items()
        },
    }


class Storage:
    """Replaces ``torch.storage._load_from_bytes``: a storage from a file of the legacy format."""

    def __init__(self, content: bytes) -> None:
        if not content.startswith(pickle.dumps(MAGIC_NUMBER, 2)):
            raise RefusalError('something else than the storage of a tensor')
        check_expansion(BytesIO(content), LEGACY_PICKLES, names=r'torch \w+Storage')
        storage = torch.load(BytesIO(content), map_location='cpu', weights_only=True)
        self.flat = torch.empty(0, dtype=storage.dtype).set_(storage)
        self.nbytes = self.flat.nbytes


def rebuild_tensor(storage: Storage, offset: int, size: Any, stride: Any, *_: object) -> Tensor:
    """Replaces ``torch._utils._rebuild_tensor_v2``, which would enlarge a storage that is small."""
    return storage.flat.as_strided(size, stride, offset)


def encode(text: str, encoding: str) -> bytes:
    """Replaces ``_codecs.encode``, with which protocol 2 writes bytes; others double the size."""
    if encoding not in ('latin1', 'latin-1'):
        raise RefusalError(f'text in {encoding!r}')
    return text.encode('latin-1')


ARRAYS: dict[tuple[str, str], Any] = {
    ('numpy', 'dtype'): NumberType,
    ('numpy', 'ndarray'): 'ndarray',  # an argument, never called
    ('numpy.core.multiarray', '_reconstruct'): NumberArray,
    ('numpy._core.multiarray', '_reconstruct'): NumberArray,
    ('_codecs', 'encode'): encode,
}
"""Names in a pickle of arrays."""

DATA: dict[tuple[str, str], Any] = {
    **ARRAYS,
    ('numpy.core.multiarray', 'scalar'): scalar,
    ('numpy._core.multiarray', 'scalar'): scalar,
    ('torch.storage', '_load_from_bytes'): Storage,
    ('torch._utils', '_rebuild_tensor_v2'): rebuild_tensor,
    ('collections', 'OrderedDict'): lambda: OrderedDict(),  # made empty: no copies of another
    ('__builtin__', 'bytes'): lambda: b'',  # how protocol 2 writes no bytes
}
"""Names in a pickle of tensors, arrays and numbers."""


def load_pickle_as_data(path: Path) -> Any:
    """Read a pickle of containers, strings, numbers, tensors and NumPy arrays; any protocol.

    Args:
        path (Path): The file, such as ``mmengine.fileio.dump`` writes.

    Returns:
        Any: What was pickled, tensors on the CPU, without gradients.

    Raises:
        RefusalError: If it names anything else, which could run code, or asks for more memory
            than its bytes justify.
        Exception: If it is damaged or no pickle; which one is up to its bytes.
    """
    with path.open('rb') as file:
        return RestrictedUnpickler(file, DATA).load()


def read_blobs(path: Path) -> dict[str, Tensor]:
    """Read a pickle of arrays by name, such as Caffe2's ``{'blobs': {name: array}}``.

    Args:
        path (Path): The file.

    Raises:
        RefusalError: If it holds anything else, or more bytes than the file.
    """
    with path.open('rb') as file:
        content = RestrictedUnpickler(file, ARRAYS).load()
    blobs = content.get('blobs', content) if isinstance(content, dict) else {}
    if not blobs or not all(
        isinstance(name, str) and isinstance(blob, NumberArray) for name, blob in blobs.items()
    ):
        raise RefusalError('something else than arrays by name')
    return {name: torch.from_numpy(blob) for name, blob in blobs.items()}


CODECS = {module.name for module in pkgutil.iter_modules(encodings.__path__)}.union(aliases)
"""Names of the encodings that Python can load, as it normalises them."""


def check_expansion(file: Any, pickles: int = 1, names: str | None = None) -> None:
    """Check that pickles for ``torch.load(weights_only=True)`` make no more data than their size.

    torch lets a pickle call ``bytearray(n)``, and ``_codecs.encode``, with encodings that double
    what they encode or with one string again and again: small files become gigabytes.

    Args:
        file (BinaryIO): Where to read, at the beginning of the first pickle.
        pickles (int): Number of pickles, one after the other. Defaults to 1.
        names (str, optional): Pattern of the only names allowed, ``'module name'``. Defaults to
            None: torch's own check has to suffice.

    Raises:
        RefusalError: If one makes more, or has another name.
    """
    for _ in range(pickles):
        encodes, arguments, size = False, set[str](), 0
        # The last objects on the stack, if they are strings, or tuples by their last strings.
        recent: deque[Any] = deque((None,) * 3, maxlen=3)
        memo: dict[Any, Any] = {}
        for opcode, value, _ in pickletools.genops(file):
            pushed: Any = value if isinstance(value, str) else None
            if opcode.name in ('GLOBAL', 'STACK_GLOBAL'):
                if value in ('builtins bytearray', '__builtin__ bytearray'):
                    raise RefusalError('an array of bytes')
                if names is not None and not re.fullmatch(names, str(value)):
                    raise RefusalError(str(value).replace(' ', '.'))
                encodes |= value == '_codecs encode'
                pushed = None
            elif 'PUT' in opcode.name:
                memo[value] = recent[-1]
                continue
            elif 'GET' in opcode.name:
                pushed = memo.get(value)
            elif opcode.name in TUPLES:
                items = list(recent)[-TUPLES[opcode.name] :]
                pushed = tuple(item for item in items if isinstance(item, str))
            elif opcode.name == 'REDUCE' and isinstance(recent[-1], tuple):
                arguments.update(recent[-1])
                size += sum(map(len, recent[-1]))
            recent.append(pushed)
        if encodes and size > file.tell():
            raise RefusalError(MORE)
        for codec in sorted(arguments - {'latin1', 'latin-1'}):
            if encodes and encodings.normalize_encoding(codec).lower() in CODECS:
                raise RefusalError(f'text in {codec!r}')

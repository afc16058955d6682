"""Read untrusted pickles: data only, no code, no more memory than the file justifies.

A pickle is a program for a stack machine, which looks functions up by name and calls them. The
machine here has only the operations that data needs, and a table of names. All else is refused.
"""

from __future__ import annotations

import pickletools
from collections import Counter, OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any, Dict

import numpy as np
import torch

LITERALS = {
    op.name
    for op in pickletools.opcodes
    if op.arg and not op.stack_before and op.stack_after not in ([], [pickletools.anyobject])
}
"""Operations that push a number, a string or bytes that the pickle contains."""

MARKED = {'APPENDS', 'SETITEMS', 'TUPLE', 'LIST', 'DICT'}
POPPED = dict(SETITEM=2, TUPLE2=2, TUPLE3=3, STACK_GLOBAL=2)
POPPED.update(dict.fromkeys(['APPEND', 'TUPLE1', 'BINPERSID', 'REDUCE', 'NEWOBJ', 'BUILD'], 1))
"""Operations that pop all objects since the last mark, and the number that others pop."""

LEGACY_PICKLES = 5
"""Magic number, protocol, system, content and storage keys: torch's format before its zip files."""


class RefusalError(ValueError):
    """A pickle names or does something that is not allowed."""


def run_pickle(file: Any, size: int, names: dict[str, Any]) -> Any:
    """Run a pickle of any protocol; strings of Python 2 become latin-1, with the values of bytes.

    Each type of data may have as many bytes as the file, ``size``. ``names`` says what each
    ``'module name'`` in the pickle stands for.

    Raises:
        RefusalError: If it does something else than make data, or more data than the limit.
        Exception: If it is damaged or no pickle; which one is up to its bytes.
    """
    stack: list[Any] = []
    outer: list[list[Any]] = []  # what is below each mark
    memo: dict[Any, Any] = {}
    nbytes: Counter[type] = Counter()
    for opcode, value, _ in pickletools.genops(file):
        items: list[Any] = []
        name = opcode.name
        if name in MARKED:
            items, stack = stack, outer.pop()
        elif name in POPPED:
            items = stack[-POPPED[name] :]
            del stack[-POPPED[name] :]
        if name in ('PROTO', 'FRAME', 'STOP'):
            pass
        elif name == 'MARK':
            outer.append(stack)
            stack = []
        elif name in ('PUT', 'BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
            memo[len(memo) if value is None else value] = stack[-1]
        elif name in ('GET', 'BINGET', 'LONG_BINGET'):
            stack.append(memo[value])
        elif name in ('LIST', 'EMPTY_LIST'):
            stack.append(items)
        elif name in ('TUPLE', 'EMPTY_TUPLE', 'TUPLE1', 'TUPLE2', 'TUPLE3'):
            stack.append(tuple(items))
        elif name in ('APPEND', 'APPENDS'):
            stack[-1].extend(items)
        elif name in ('DICT', 'EMPTY_DICT', 'SETITEM', 'SETITEMS'):
            if name.endswith('DICT'):
                stack.append({})
            set_items(stack[-1], items)
        elif name in ('GLOBAL', 'STACK_GLOBAL'):
            stack.append(names[value or ' '.join(items)])
        elif name == 'BINPERSID':  # how torch refers to a storage in the same file
            stack.append(names['torch UntypedStorage'])
        elif name in ('REDUCE', 'NEWOBJ', 'BUILD'):
            if name != 'BUILD':
                stack.append(stack.pop()(*items[0]))
            elif isinstance(stack[-1], (NumberType, NumberArray, Placeholder)):
                stack[-1].__setstate__(items[0])
            else:  # Python's unpickler would set attributes of anything
                raise RefusalError(f'attributes for a {type(stack[-1]).__name__}')
            kind, made = type(stack[-1]), stack[-1]
            nbytes[kind] += bytes_of(made)
            if nbytes[kind] > size:  # repeated calls multiply data
                raise RefusalError('more data than the file has room for')
        elif name in ('NONE', 'NEWTRUE', 'NEWFALSE'):
            stack.append({'NEWTRUE': True, 'NEWFALSE': False}.get(name))
        elif name in LITERALS:
            stack.append(value)
        else:
            raise RefusalError(f'the pickle operation {name}')
    return stack.pop()


def bytes_of(made: Any) -> int:
    """How many bytes an object has: a string of bytes, a tensor, an array or a number."""
    if isinstance(made, torch.Tensor):
        return made.numel() * made.element_size()
    return len(made) if isinstance(made, bytes) else getattr(made, 'nbytes', 0)


class Placeholder:
    """Stands for what is not made: takes any call, item or state, and does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __call__(self, *_: object) -> Placeholder:
        """Take arguments, an item, items or a state."""
        return self

    __setitem__ = __setstate__ = extend = __call__


def set_items(target: Any, items: list[Any]) -> None:
    """Set items of a dict, given as keys and values in turn."""
    if len(items) % 2:
        raise ValueError('a key without a value')
    for key, value in zip(items[::2], items[1::2]):
        if isinstance(key, tuple) and (len(key) > 8 or any(isinstance(k, tuple) for k in key)):
            raise RefusalError('keys that are long or nested tuples')  # hashed for hours
        target[key] = value


class NumberType:
    """Replaces ``numpy.dtype``: types that both arrays and tensors can have, by code."""

    def __init__(self, code: str, *flags: object) -> None:
        if code not in ('b1', 'f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1'):
            raise RefusalError('an array of something else than numbers')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order; flags such as 'contains objects' are dropped."""
        if state[1] == '>':
            self.dtype = self.dtype.newbyteorder('>')

    def scalar(self, content: bytes) -> np.generic:
        """Replaces ``numpy._core.multiarray.scalar``: a number from its bytes."""
        value: np.generic
        (value,) = np.frombuffer(content, self.dtype)
        return value


class NumberArray(np.ndarray):
    """Replaces ``numpy.ndarray``: empty until its state is set, once. Pickled as NumPy's own."""

    def __new__(cls, *_: object) -> NumberArray:
        """An empty array, whatever the arguments."""
        return super().__new__(cls, 0, 'u1')

    def __setstate__(self, state: Any) -> None:
        """Set version, shape, element type, order and content (a string if from Python 2)."""
        _, shape, number_type, fortran, content = state
        if self.size or not isinstance(content, (bytes, str)):
            raise RefusalError('an array of something else than numbers, or filled twice')
        filled: Any = (1, shape, number_type.dtype, fortran, content)
        super().__setstate__(filled)

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()


def encode(text: str, encoding: str, *_: object) -> bytes:
    """Replaces ``_codecs.encode``, with which protocol 2 writes bytes; others double the size."""
    if encoding not in ('latin1', 'latin-1'):
        raise RefusalError(f'text in {encoding!r}')
    return text.encode('latin-1')


class Storage:
    """Replaces ``torch.storage._load_from_bytes``: a storage from a file of the legacy format."""

    def __init__(self, content: bytes) -> None:
        file = BytesIO(content)
        for _ in range(LEGACY_PICKLES):
            run_pickle(file, len(content), STORAGES)
        storage = torch.load(BytesIO(content), map_location='cpu', weights_only=True)
        self.flat = torch.empty(0, dtype=storage.dtype).set_(storage)
        self.nbytes = bytes_of(self.flat)

    def view(self, offset: int, size: Any, stride: Any, *_: object) -> torch.Tensor:
        """Replaces ``torch._utils._rebuild_tensor_v2``, which would enlarge a small storage."""
        return self.flat.as_strided(size, stride, offset)


class Names(Dict[str, Any]):
    """What the names in a pickle stand for; ``'*'`` is for those that are not listed."""

    def __missing__(self, name: str) -> Any:
        if '*' not in self or name.endswith(' bytearray'):  # bytearray(n) allocates n bytes
            raise RefusalError(name.replace(' ', '.'))
        return self['*']


STORAGES = Names({f'torch {n}': Placeholder() for n in dir(torch) if n.endswith('Storage')})
"""Names in a storage of torch, none of which needs to be called."""

TORCH = Names({'_codecs encode': encode, '*': Placeholder()})
"""Names in a file of torch, which checks them itself, but neither bytearray nor encode."""

NUMPY = {
    'numpy dtype': NumberType,
    'numpy ndarray': 'ndarray',  # an argument, never called
    **{f'numpy.{core}.multiarray _reconstruct': NumberArray for core in ('core', '_core')},
    **{f'numpy.{core}.multiarray scalar': NumberType.scalar for core in ('core', '_core')},
}
DATA = Names(
    {
        **NUMPY,
        '_codecs encode': encode,
        '__builtin__ bytes': lambda: b'',  # how protocol 2 writes no bytes
        'collections OrderedDict': lambda: OrderedDict(),  # made empty: no copies of another
        'torch.storage _load_from_bytes': Storage,
        'torch._utils _rebuild_tensor_v2': Storage.view,
    }
)
"""Names in a pickle of tensors, arrays and numbers."""


def load_pickle_as_data(path: Path) -> Any:
    """Read a pickle of data as MMEngine dumps it; raises what :func:`run_pickle` does."""
    content = path.read_bytes()
    return run_pickle(BytesIO(content), len(content), DATA)

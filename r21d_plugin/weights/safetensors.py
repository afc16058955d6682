"""Reader of safetensors files, as documented at https://huggingface.co/docs/safetensors.

Eight bytes give the length of a JSON header with dtype, shape and position of each tensor. The
reader is simple enough to avoid a dependency.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from mmap import mmap
from typing import Any

import torch
from torch import Tensor

from .._compat_torch import from_bytes
from .pickles import RefusalError

LONGEST_HEADER = 100_000_000
DTYPES = dict(
    F64=torch.float64,
    F32=torch.float32,
    F16=torch.float16,
    BF16=torch.bfloat16,
    I64=torch.int64,
    I32=torch.int32,
    I16=torch.int16,
    I8=torch.int8,
    U8=torch.uint8,
    BOOL=torch.bool,
)


def header_length(content: mmap) -> int:
    """Return the length of the header in bytes."""
    return int.from_bytes(content[:8], 'little')


def is_one(content: mmap) -> bool:
    """Whether a file begins like a safetensors file."""
    return content[8:9] == b'{' and header_length(content) <= LONGEST_HEADER


def read(content: mmap) -> dict[str, Any]:
    """Read a checkpoint with ``state_dict`` and ``meta``; a damaged file raises any exception.

    The epsilon of batch norm that ``publishing`` wrote becomes metadata of the state dict, and
    ``meta`` gets ``dataset_meta``.

    Raises a RefusalError if tensors overlap, because they could expand to more data than the file.
    """
    start = 8 + header_length(content)
    header: dict[str, Any] = json.loads(content[8:start])
    noted = header.pop('__metadata__', None) or {}
    notes, data = (json.loads(noted.get(key, '{}')) for key in ('norm_eps', 'dataset_meta'))
    parts = sorted(entry['data_offsets'] for entry in header.values())
    if any(end > begin for (_, end), (begin, _) in zip(parts, parts[1:])):
        raise RefusalError('tensors that overlap')
    state_dict: Any = OrderedDict()
    for name, entry in header.items():
        state_dict[name] = tensor_of(content, start, **entry)
    state_dict._metadata = {path: dict(norm_eps=float(eps)) for path, eps in notes.items()}
    return dict(state_dict=state_dict, meta=dict(dataset_meta=data))


def tensor_of(
    content: mmap, start: int, dtype: str, shape: list[int], data_offsets: list[int]
) -> Tensor:
    """Build a tensor from its header entry; the data section begins at byte ``start``."""
    begin, end = data_offsets
    data = bytearray(content[start + begin : start + end])
    if len(data) != end - begin:
        raise ValueError('truncated')
    return from_bytes(data, DTYPES[dtype]).reshape(shape)

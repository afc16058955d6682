"""Publish checkpoints: weights and metadata in a file with its hash in the name."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._atomic import atomic_write
from .._errors import InputError
from .._packages import import_package
from .checkpoint_files import NO_WEIGHTS, load_checkpoint, tensors_alone
from .formats import StateDict
from .public import classes_of

KEPT = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version')
"""Keys of a checkpoint's ``meta`` that are kept; their values do not vary between runs."""


def publish(source: str, out: Path) -> Path:
    """Write the weights of a checkpoint (file or URL), without the training state.

    ``out`` is ``NAME.pth``, for a dict with ``state_dict`` and ``meta``, or ``NAME.safetensors``.
    The first eight digits of the file's SHA-256 are added to the name, ``NAME-1a2b3c4d.pth``, for
    ``check_hash=True`` of torch.hub. The same checkpoint always gives the same file, which is
    returned. Raises an InputError if the source is not a checkpoint, or ``out`` has another suffix
    or is not writable.
    """
    if out.suffix not in ('.pth', '.safetensors'):
        raise InputError(f'{out}: name a file that ends in .pth or .safetensors')
    checkpoint = load_checkpoint(source, 'cpu')
    state_dict = tensors_alone(checkpoint['state_dict'], source)
    if not state_dict:
        raise InputError(NO_WEIGHTS.format(source))
    given = checkpoint.get('meta')
    meta = {key: given[key] for key in KEPT if key in given} if isinstance(given, dict) else {}
    if names := classes_of(checkpoint, source):
        meta.setdefault('dataset_meta', dict(classes=names))
    meta = json.loads(json.dumps(meta, default=str))  # convert to plain data
    if out.suffix == '.pth':
        buffer = BytesIO()
        torch.save(dict(meta=meta, state_dict=compact(state_dict)), buffer)
        content = buffer.getvalue()
    else:
        content = safetensors_bytes(state_dict, meta)
    path = out.with_name(f'{out.stem}-{hashlib.sha256(content).hexdigest()[:8]}{out.suffix}')
    with atomic_write(path, parents=True) as partial:
        partial.write_bytes(content)
    return path


def compact(state_dict: StateDict) -> StateDict:
    """Copy a state dict to contiguous CPU tensors that share no memory."""
    copied: OrderedDict[str, Tensor] = OrderedDict()
    for name, value in state_dict.items():
        copied[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    if (notes := getattr(state_dict, '_metadata', None)) is not None:
        vars(copied)['_metadata'] = notes
    return copied


def safetensors_bytes(state_dict: StateDict, meta: Mapping[str, Any]) -> bytes:
    """Build a safetensors file with ``meta`` in its header; values other than text become JSON.

    The format has no metadata of state dicts, so the header gets the epsilon of batch norm as
    ``norm_eps``: a JSON dict by the path of the backbone, ``{"backbone": 0.001}``.
    """
    notes = getattr(state_dict, '_metadata', None) or {}
    noted = {path: note.get('norm_eps') for path, note in notes.items()}
    eps = {path: value for path, value in noted.items() if value is not None}  # None: no batch norm
    header = {**meta, 'norm_eps': eps} if eps else meta
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in header.items()}
    save = import_package('safetensors.torch').save
    content: bytes = save(dict(compact(state_dict)), dict(texts, format='pt'))
    return content

"""Checkpoints for others: the weights and what they are, in a file named by its hash."""

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
from .._packages import missing_packages_named
from .checkpoint_files import NO_WEIGHTS, load_checkpoint, tensors_alone
from .class_names import classes_of
from .formats import StateDict

KEPT = ('cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version')
"""What is kept of a checkpoint's ``meta``: all that does not differ from run to run."""


def publish(source: str, out: Path) -> Path:
    """Write the weights of a checkpoint, without what only training needs.

    Args:
        source (str): A checkpoint of any format that :func:`load_checkpoint` reads, file or URL.
        out (Path): Where to write it: ``NAME.pth``, a dict of ``state_dict`` and ``meta``, or
            ``NAME.safetensors``. The first eight digits of the file's SHA-256 are added to the
            name, ``NAME-1a2b3c4d.pth``, which ``check_hash=True`` of torch.hub compares.

    Returns:
        Path: The file that was written. The same checkpoint gives the same one.

    Raises:
        InputError: If the source is no checkpoint, or ``out`` has another suffix or cannot be
            written.
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
    meta = json.loads(json.dumps(meta, default=str))  # plain data in any format
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
    """Copy a state dict to tensors on the CPU that share no memory, and lie in it in order."""
    copied: OrderedDict[str, Tensor] = OrderedDict()
    for name, value in state_dict.items():
        copied[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    if (notes := getattr(state_dict, '_metadata', None)) is not None:
        vars(copied)['_metadata'] = notes
    return copied


def safetensors_bytes(state_dict: StateDict, meta: Mapping[str, Any]) -> bytes:
    """Content of a safetensors file; ``meta`` goes to its header, each value as JSON but for text.

    The format keeps no metadata of state dicts. The epsilon of batch norm is ``norm_eps`` in the
    header: JSON of a dict by the path of the backbone, ``{"backbone": 0.001}``.
    """
    with missing_packages_named():
        from safetensors.torch import save
    notes = getattr(state_dict, '_metadata', None) or {}
    eps = {path: note['norm_eps'] for path, note in notes.items() if 'norm_eps' in note}
    header = {**meta, 'norm_eps': eps} if eps else meta
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in header.items()}
    content: bytes = save(dict(compact(state_dict)), dict(texts, format='pt'))
    return content

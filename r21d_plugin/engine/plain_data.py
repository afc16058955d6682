"""Checkpoints that ``torch.load(weights_only=True)`` reads without this package or MMEngine.

MMEngine's checkpoints contain its ``HistoryBuffer`` objects and NumPy scalars, which torch refuses.
"""

from __future__ import annotations

import copy
import numbers
from collections import Counter, OrderedDict
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

SCALARS: dict[Any, type] = {
    bool: bool,
    np.bool_: bool,
    numbers.Integral: int,
    numbers.Real: float,
    numbers.Complex: complex,
    str: str,
    bytes: bytes,
    PurePath: str,
}
"""Python's type for each kind of scalar; NumPy's numbers belong to the abstract classes."""

DICTS = (dict, OrderedDict, Counter)
"""The mappings that torch reads."""


def to_plain_data(content: dict[str, Any], left_out: list[str], prefix: str = '') -> dict[str, Any]:
    """Convert a checkpoint, or a part of it, to tensors, numbers, strings and containers.

    NumPy's numbers become Python's and arrays become tensors. Entries of mappings that hold
    anything else are left out, and their dotted names appended to ``left_out``.
    """
    plain = copy.copy(content) if type(content) in DICTS else dict(content)
    for key, value in content.items():
        del plain[key]
        name = f'{prefix}{key}'
        try:
            plain[convert(key, left_out, name)] = convert(value, left_out, name)
        except (TypeError, ValueError):  # arrays of objects, or of another byte order
            left_out.append(name)
    return plain


def convert(value: Any, left_out: list[str], name: str) -> Any:
    """Convert a value; a TypeError or ValueError if it is no plain data."""
    if value is None or isinstance(value, (Tensor, torch.dtype, torch.device, torch.Size)):
        return value
    for kind, plain_type in SCALARS.items():
        if isinstance(value, kind):
            return value if type(value) is plain_type else plain_type(value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        return to_plain_data(value, left_out, f'{name}.')
    if type(value) in (list, tuple, set):
        return type(value)(convert(item, left_out, name) for item in value)
    raise TypeError


def pack_message_hub(message_hub: dict[str, Any], left_out: list[str]) -> dict[str, Any]:
    """Convert a message hub's state dict, with the scalars in ``log_history``, as tensors.

    What is no plain data is left out (see :func:`to_plain_data`). A runner without
    :class:`~r21d_plugin.engine.ResumableCheckpointHook` resumes from the result too; its averages
    in the log begin anew.
    """
    history = {}
    for name, buffer in message_hub['log_scalars'].items():
        values, counts = map(torch.from_numpy, buffer.data)
        history[name] = dict(values=values, counts=counts, max_length=buffer.max_length)
    prefix = 'message_hub.runtime_info.'
    info = to_plain_data(message_hub['runtime_info'], left_out, prefix)
    # MMEngine warns of keys without a value.
    keys = {name: value for name, value in message_hub['resumed_keys'].items() if name in info}
    return dict(log_scalars={}, runtime_info=info, resumed_keys=keys, log_history=history)


def unpack_message_hub(message_hub: dict[str, Any]) -> dict[str, Any]:
    """Undo :func:`pack_message_hub`; the state dict of an older checkpoint is returned as it is."""
    if 'log_history' not in message_hub:
        return message_hub
    history = message_hub['log_history']
    scalars = {
        name: HistoryBuffer(
            kept['values'].cpu().numpy(), kept['counts'].cpu().numpy(), kept['max_length']
        )
        for name, kept in history.items()
    }
    keys = {**message_hub['resumed_keys'], **dict.fromkeys(history, True)}
    info = message_hub['runtime_info']
    return dict(log_scalars=scalars, runtime_info=info, resumed_keys=keys)

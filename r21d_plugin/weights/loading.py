"""Reading and writing checkpoint files, and telling whether they fit a network."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ..errors import InputError

STREAMS = ('rgb', 'flow')
"""Streams of the two-stream network, in the order of its scores."""


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> dict:
    """Load a checkpoint file, as MMEngine does, with errors of one line.

    Args:
        filename (str): Path of the file.
        map_location (Any): As :func:`torch.load` takes it. Defaults to None.

    Raises:
        InputError: If the file is missing, truncated, or holds anything else
            than tensors and plain Python data.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise InputError(f'{filename}: no such checkpoint file')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # what a damaged file raises is up to its bytes
        refused = re.search(r'GLOBAL \S+', str(error))
        if refused:
            raise InputError(
                f'{filename}: not loaded, as it holds more than tensors and plain data '
                f'({refused[0]}) and could run code'
            ) from error
        raise InputError(
            f'{filename}: not a readable checkpoint, truncated perhaps: '
            'copy it again or use an earlier one'
        ) from error


def save_checkpoint(checkpoint: dict, path: Path) -> None:
    """Write a checkpoint file, which appears when it is complete.

    Raises:
        InputError: If it cannot be written.
    """
    partial = path.with_name(f'.{path.name}.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(checkpoint, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        raise InputError(f'{path}: cannot write there: {error}'.splitlines()[0]) from error
    finally:
        partial.unlink(missing_ok=True)


def load_matching(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    source: str,
    ignore: str | None = None,
) -> None:
    """Load weights that :func:`check_match` finds to be the network's."""
    check_match(model, state_dict, source, ignore)
    model.load_state_dict(state_dict, strict=False)


def check_match(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    source: str,
    ignore: str | None = None,
) -> None:
    """Check that weights are those of a network, tensor by tensor.

    Args:
        model (nn.Module): The network.
        state_dict (Mapping[str, Tensor]): The weights.
        source (str): Where they come from, for the message.
        ignore (str, optional): Prefix of tensors that may differ, such as a
            classifier that is trained anew. Defaults to None.

    Raises:
        InputError: If a tensor is missing, left over or of another shape.
    """

    def counts(key: str) -> bool:
        ignored = ignore is not None and key.startswith(ignore)
        return not (ignored or key.endswith('num_batches_tracked'))

    ours = {key: tuple(value.shape) for key, value in model.state_dict().items() if counts(key)}
    theirs = {key: tuple(value.shape) for key, value in state_dict.items() if counts(key)}
    for stream in STREAMS:
        prefix = f'backbone.{stream}.'
        if has_prefix(ours, prefix) and not has_prefix(theirs, prefix):
            raise InputError(
                f'{source}: no weights of the {stream} stream: join the checkpoints of both with '
                'tools/fuse_checkpoints.py'
            )
    missing = [key for key in ours if key not in theirs]
    left_over = [key for key in theirs if key not in ours]
    reshaped = [key for key in ours if key in theirs and ours[key] != theirs[key]]
    complaints = []
    if missing:
        complaints.append(f'{len(missing)} of {len(ours)} tensors are missing ({missing[0]}, ...)')
    if left_over:
        complaints.append(f'{len(left_over)} do not belong to it ({left_over[0]}, ...)')
    if reshaped:
        key = reshaped[0]
        complaints.append(
            f'{len(reshaped)} have another shape ({key} is {theirs[key]}, not {ours[key]})'
        )
    if complaints:
        raise InputError(
            f'{source}: weights of another network: {"; ".join(complaints)}: '
            'use the config that they were trained with'
        )


def has_prefix(keys: Iterable[str], prefix: str) -> bool:
    """Whether any of the keys begins with the prefix."""
    return any(key.startswith(prefix) for key in keys)

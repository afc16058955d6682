"""Loading weights that fit a network, and saying why others do not."""

from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from .._errors import InputError
from .architecture import describe, differing, in_words
from .files import check_plain
from .forms import StateDict, recognise, translated

STREAMS = ('rgb', 'flow')
"""Streams of the two-stream network, in the order of its scores."""


def load_matching(
    model: nn.Module, state_dict: StateDict, source: str, ignore: str | None = None
) -> None:
    """Load weights of any public form that :func:`check_match` finds to be the network's."""
    state_dict, form = translated(state_dict, model, source)
    check_match(model, state_dict, source, ignore)
    model.load_state_dict(state_dict, strict=False)
    if form:
        print_log(loaded_in_words(model, state_dict, source, form), 'current')


def understand(
    model: nn.Module,
    state_dict: dict[str, Tensor],
    prefix: str,
    metadata: dict,
    *_: object,
) -> None:
    """Let a network load weights of any public form: torch calls it before it loads a state dict.

    MMEngine's ``init_cfg=dict(type='Pretrained')`` and ``load_checkpoint`` come
    here too. They would only log what does not match, so weights from a file
    are checked.

    Args:
        model (nn.Module): The network.
        state_dict (dict[str, Tensor]): The weights, which are renamed.
        prefix (str): Path of the network, empty where it is all that is
            loaded; nothing is done elsewhere.
        metadata (dict): What the state dict says of itself.
        *_ (object): What torch collects keys and messages in.

    Raises:
        InputError: If a file has weights of another network. A classifier of
            MMAction2's may differ, to be trained anew.
    """
    if prefix:
        return
    source = metadata.get('source', 'state dict')  # see files.with_source
    if 'source' in metadata:
        check_plain(state_dict, source)
    renamed, form = translated(state_dict, model, source)
    if form:
        renamed = dict(renamed)
        state_dict.clear()
        state_dict.update(renamed)
    if 'source' in metadata:
        check_match(model, state_dict, source, ignore='cls_head.')
    if form:
        print_log(loaded_in_words(model, state_dict, source, form), 'current')


def loaded_in_words(model: nn.Module, state_dict: StateDict, source: str, form: str) -> str:
    """What is loaded of weights, and what not."""
    own = model.state_dict()
    fitting = {k for k, v in state_dict.items() if k in own and own[k].shape == v.shape}
    anew = sorted(key for key in own.keys() - fitting if counts(key))
    kind = f'{form}, {in_words(network_of(state_dict, source))}: ' if form else ''
    return (
        f'{source}: {kind}{len(fitting)} of {len(own)} tensors are loaded, '
        f'{"all" if not anew else "trained anew: " + ", ".join(anew)}'
    )


def counts(key: str, ignore: str | None = None) -> bool:
    """Whether a tensor has to match: not a counter of batches, nor one to ignore."""
    ignored = ignore is not None and key.startswith(ignore)
    return not (ignored or key.endswith('num_batches_tracked'))


def shapes(state_dict: StateDict) -> dict[str, tuple[int, ...]]:
    """Shapes of tensors by name."""
    return {key: tuple(value.shape) for key, value in state_dict.items()}


def network_of(state_dict: StateDict, source: str) -> dict[str, Any]:
    """What network weights are of (see :func:`~.architecture.describe`)."""
    weights = recognise(state_dict, source)
    return describe(shapes(weights.tensors)) if weights else {}


def check_match(
    model: nn.Module, state_dict: StateDict, source: str, ignore: str | None = None
) -> None:
    """Check that weights are those of a network, tensor by tensor.

    Args:
        model (nn.Module): The network.
        state_dict (Mapping[str, Tensor]): The weights, by its names.
        source (str): Where they come from, for the message.
        ignore (str, optional): Prefix of tensors that may differ, such as a
            classifier that is trained anew. Defaults to None.

    Raises:
        InputError: If a tensor is missing, left over or of another shape.
    """
    own = {key: value for key, value in model.state_dict().items() if counts(key, ignore)}
    given = {key: value for key, value in state_dict.items() if counts(key, ignore)}
    ours, theirs = shapes(own), shapes(given)
    if ours == theirs:
        return
    for stream in STREAMS:
        prefix = f'backbone.{stream}.'
        if has_prefix(ours, prefix) and not has_prefix(theirs, prefix):
            raise InputError(
                f'{source}: no weights of the {stream} stream: join the checkpoints of both with '
                'tools/fuse_checkpoints.py'
            )
    reason = other_network(network_of(given, source), network_of(own, source))
    raise InputError(
        f'{source}: weights of another network: {reason or other_tensors(theirs, ours)}: '
        'use the config that they were trained with'
    )


def other_network(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """In what two networks differ, in words; empty where that does not show."""
    names = differing(theirs, ours)
    if not names:
        return ''
    if names == ['network']:
        return f'{theirs["network"]}, not {ours["network"]}'
    given, wanted = (', '.join(f'{k}={net[k]!r}' for k in names) for net in (theirs, ours))
    return f'{theirs["network"]} with {given}, not {wanted}'


def other_tensors(
    theirs: Mapping[str, tuple[int, ...]], ours: Mapping[str, tuple[int, ...]]
) -> str:
    """In what the tensors of two networks differ, in words."""
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
    return '; '.join(complaints)


def has_prefix(keys: Mapping[str, object], prefix: str) -> bool:
    """Whether any of the keys begins with the prefix."""
    return any(key.startswith(prefix) for key in keys)

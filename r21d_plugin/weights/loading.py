"""Loading weights that fit a network, and saying why others do not."""

import logging
from collections.abc import Mapping
from typing import Any

from torch import nn

from .._errors import InputError
from .architecture import describe, differing, in_words
from .files import load_state_dict_of
from .forms import StateDict, Weights, recognise, translated

logger = logging.getLogger('r21d_plugin')

STREAMS = ('rgb', 'flow')
"""Streams of the two-stream network, in the order of its scores."""


def load_weights(model: nn.Module, source: str) -> None:
    """Load weights of any public form into a network of this package.

    Args:
        model (nn.Module): A network of :func:`r21d_plugin.create_model`, a
            backbone or a recognizer. Its batch norm gets the epsilon that the
            weights were trained with, unless ``norm_cfg`` has named one.
        source (str): File or address of the weights.

    Raises:
        InputError: If there are none, or they are another network's.
    """
    load_matching(model, load_state_dict_of(source), source)


def load_matching(
    model: nn.Module, state_dict: StateDict, source: str, ignore: str | None = None
) -> None:
    """Load weights of any public form that :func:`check_match` finds to be the network's."""
    state_dict, weights = translated(state_dict, model, source)
    load_translated(model, state_dict, weights, source, ignore)


def load_translated(
    model: nn.Module,
    state_dict: StateDict,
    weights: Weights | None,
    source: str,
    ignore: str | None = None,
) -> None:
    """Load weights by the names that a network has, after :func:`check_match`.

    The log says what they are, where that is known.
    """
    check_match(model, state_dict, source, ignore)
    model.load_state_dict(state_dict, strict=False)
    eps = set_eps(model, state_dict, weights)
    if weights:
        logger.info('%s%s', loaded_in_words(model, state_dict, source, weights.form), eps)


def set_eps(model: nn.Module, state_dict: StateDict, weights: Weights | None) -> str:
    """Give a network the epsilon of batch norm that its weights were trained with.

    Args:
        model (nn.Module): The network.
        state_dict (Mapping[str, Tensor]): The weights, whose metadata may name it.
        weights (Weights, optional): What they are, where that is known.

    Returns:
        str: What the log says of it, empty where nothing is known.
    """
    noted = getattr(state_dict, '_metadata', None) or {}
    changed = []
    for name, module in model.named_modules():
        eps = noted.get(name, {}).get('norm_eps', weights.eps if weights else None)
        if eps is not None and hasattr(module, 'set_norm_eps'):
            kept = '' if module.set_norm_eps(eps) else ' not used, as norm_cfg names another'
            changed.append(f'; epsilon of batch norm {eps:g}{kept}')
    return ''.join(dict.fromkeys(changed))


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

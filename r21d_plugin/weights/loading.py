"""Load weights that fit a network, and say why others do not."""

import logging

from torch import nn

from .._errors import InputError
from .architecture import format_difference, format_network, infer_network
from .checkpoint_files import load_state_dict_of
from .formats import StateDict, Weights, convert_state_dict

logger = logging.getLogger('r21d_plugin')

STREAMS = ('rgb', 'flow')
"""Streams of the two-stream network, in the order of its scores."""


def load_weights(model: nn.Module, source: str) -> None:
    """Load weights of any public format into a network of this package.

    Args:
        model (nn.Module): A network of :func:`r21d_plugin.create_model`, a backbone or a
            recognizer. Its batch norm gets the epsilon that the weights were trained with,
            unless ``norm_cfg`` names one.
        source (str): File or address of the weights.

    Raises:
        InputError: If there are none, or they are another network's.
    """
    load_matching(model, load_state_dict_of(source), source)


def load_matching(
    model: nn.Module, state_dict: StateDict, source: str, ignore: str | None = None
) -> None:
    """Load weights of any public format that pass :func:`check_match`."""
    state_dict, weights = convert_state_dict(state_dict, model, source)
    load_converted(model, state_dict, weights, source, ignore)


def load_converted(
    model: nn.Module,
    state_dict: StateDict,
    weights: Weights | None,
    source: str,
    ignore: str | None = None,
) -> None:
    """Load what :func:`~.formats.convert_state_dict` returned, after :func:`check_match`; log it.

    Raises:
        InputError: If they are another network's.
    """
    check_match(model, state_dict, source, ignore)
    model.load_state_dict(state_dict, strict=False)
    eps = set_eps(model, state_dict, weights)
    if weights:
        logger.info('%s%s', format_loaded(model, state_dict, source, weights.format), eps)


def set_eps(model: nn.Module, state_dict: StateDict, weights: Weights | None) -> str:
    """Give a network the epsilon of batch norm that its weights were trained with.

    Args:
        model (nn.Module): The network.
        state_dict (Mapping[str, Tensor]): The weights, whose metadata may name it.
        weights (Weights, optional): What the weights were identified as.

    Returns:
        str: A note for the log, empty if the epsilon is not known.
    """
    noted = getattr(state_dict, '_metadata', None) or {}
    notes: dict[str, None] = {}  # each once, in order
    for name, module in model.named_modules():
        eps = noted.get(name, {}).get('norm_eps', weights.eps if weights else None)
        if eps is not None and hasattr(module, 'set_norm_eps'):
            kept = '' if module.set_norm_eps(eps) else ' not used, as norm_cfg names another'
            notes[f'; epsilon of batch norm {eps:g}{kept}'] = None
    return ''.join(notes)


def format_loaded(model: nn.Module, state_dict: StateDict, source: str, format: str) -> str:
    """Format a report of which weights are loaded and which tensors keep their initial values."""
    own = model.state_dict()
    fitting = {k for k, v in state_dict.items() if k in own and own[k].shape == v.shape}
    anew = sorted(key for key in own.keys() - fitting if must_match(key))
    kind = f'{format}, {format_network(infer_network(state_dict, source))}: ' if format else ''
    return (
        f'{source}: {kind}{len(fitting)} of {len(own)} tensors are loaded, '
        f'{"all" if not anew else "trained anew: " + ", ".join(anew)}'
    )


def check_match(
    model: nn.Module, state_dict: StateDict, source: str, ignore: str | None = None
) -> None:
    """Check that weights are those of a network, tensor by tensor.

    Args:
        model (nn.Module): The network.
        state_dict (Mapping[str, Tensor]): The weights, by its names.
        source (str): File or address, for the message.
        ignore (str, optional): Prefix of tensors that may differ, such as a classifier that is
            trained anew. Defaults to None.

    Raises:
        InputError: If a tensor is missing, left over or of another shape.
    """
    ours = {k: v for k, v in model.state_dict().items() if must_match(k, ignore)}
    theirs = {k: v for k, v in state_dict.items() if must_match(k, ignore)}
    missing = [key for key in ours if key not in theirs]
    left_over = [key for key in theirs if key not in ours]
    reshaped = [key for key in ours if key in theirs and ours[key].shape != theirs[key].shape]
    if not (missing or left_over or reshaped):
        return
    for stream in STREAMS:
        prefix = f'backbone.{stream}.'
        if any(key.startswith(prefix) for key in missing) and not any(
            key.startswith(prefix) for key in theirs
        ):
            raise InputError(
                f'{source}: no weights of the {stream} stream: join the checkpoints of both with '
                'tools/fuse_checkpoints.py'
            )
    reasons = []
    if missing:
        reasons.append(f'{len(missing)} of {len(ours)} tensors are missing ({missing[0]}, ...)')
    if left_over:
        reasons.append(f'{len(left_over)} do not belong to it ({left_over[0]}, ...)')
    if reshaped:
        key = reshaped[0]
        given, wanted = tuple(theirs[key].shape), tuple(ours[key].shape)
        reasons.append(f'{len(reshaped)} have another shape ({key} is {given}, not {wanted})')
    difference = format_difference(infer_network(theirs, source), infer_network(ours, source))
    raise InputError(
        f'{source}: weights of another network: {difference or "; ".join(reasons)}: '
        'use the config that they were trained with'
    )


def must_match(key: str, ignore: str | None = None) -> bool:
    """Whether a tensor has to match: neither one to ignore nor a counter of batches."""
    ignored = ignore is not None and key.startswith(ignore)
    return not (ignored or key.endswith('num_batches_tracked'))

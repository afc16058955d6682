"""Load weights that fit a network, say why others do not, and join those of two streams."""

import logging
from collections import OrderedDict
from typing import Any

from torch import Tensor, nn

from .._errors import InputError
from .checkpoint_files import load_state_dict_of
from .formats import EPS, StateDict, Weights, add_prefixes, format_network, identify, infer_network

logger = logging.getLogger('r21d_plugin')

STREAMS = ('rgb', 'flow')
"""Streams of the two-stream network, in the order of its scores."""


def load_weights(model: nn.Module, source: str) -> None:
    """Load weights of any public format into a network of this package.

    Args:
        model (nn.Module): A network of :func:`r21d_plugin.create_model`, a backbone or a
            recognizer. Its batch norm gets the epsilon that the weights were trained with, unless
            ``norm_cfg`` names one.
        source (str): File or address of the weights.

    Raises:
        InputError: If there are none, or they are another network's.
    """
    load_matching(model, load_state_dict_of(source), source)


def load_matching(
    model: nn.Module, weights: StateDict | Weights, source: str, ignore: str | tuple[str, ...] = ()
) -> None:
    """Load weights that :func:`match_weights` accepts; log what was loaded if it converted them."""
    state_dict, report = match_weights(model, weights, source, ignore)
    model.load_state_dict(state_dict, strict=False)
    if state_dict is not weights:
        logger.info(report)


def match_weights(
    model: nn.Module, weights: StateDict | Weights, source: str, ignore: str | tuple[str, ...] = ()
) -> tuple[StateDict, str]:
    """Convert weights of any public format to a network's names, and check that they are its own.

    Batch norm gets their epsilon. Tensors whose names begin with ``ignore`` may differ, such as a
    classifier that is trained anew. ``source`` is for messages.

    Returns the weights, the same object if there was nothing to convert, and a report for the log.
    Raises InputError if a tensor is missing, left over or of another shape.
    """
    own = model.state_dict()
    state_dict: Any = weights
    found = weights if isinstance(weights, Weights) else None
    if found is None and own.keys() & {'stem.0.weight', 'backbone.stem.0.weight'}:
        found = identify(state_dict, source)
    report = f'{source}: '
    if found:
        backbone = 'backbone.' if 'backbone.stem.0.weight' in own else ''
        classifier = next((p for p in ('cls_head.fc_cls.', 'fc.') if f'{p}weight' in own), None)
        state_dict = add_prefixes(found.tensors, backbone, classifier)
        report += f'{found.format}, {format_network(infer_network(found.tensors, source))}: '
    check_match(model, state_dict, source, ignore)
    loaded = {k for k, v in state_dict.items() if k in own and own[k].shape == v.shape}
    anew = ', '.join(sorted(filter(must_match, own.keys() - loaded)))
    report += f'{len(loaded)} of {len(own)} tensors are loaded, '
    report += f'trained anew: {anew}' if anew else 'all'
    noted = getattr(state_dict, '_metadata', None) or {}
    notes: dict[str, None] = {}  # each once, in order
    for name, module in model.named_modules():
        eps = noted.get(name, {}).get('norm_eps', found.eps if found else None)
        if eps is not None and hasattr(module, 'set_norm_eps'):
            kept = '' if module.set_norm_eps(eps) else ' not used, as norm_cfg names another'
            notes[f'; epsilon of batch norm {eps:g}{kept}'] = None
    return state_dict, report + ''.join(notes)


def must_match(key: str, ignore: str | tuple[str, ...] = ()) -> bool:
    """Whether a tensor has to match: neither one to ignore nor a counter of batches."""
    return not key.startswith(ignore) and not key.endswith('num_batches_tracked')


def check_match(
    model: nn.Module, state_dict: StateDict, source: str, ignore: str | tuple[str, ...] = ()
) -> None:
    """Check that weights are those of a network, tensor by tensor; see :func:`match_weights`."""
    ours = {k: v for k, v in model.state_dict().items() if must_match(k, ignore)}
    theirs = {k: v for k, v in state_dict.items() if must_match(k, ignore)}
    missing = [key for key in ours if key not in theirs]
    left_over = [key for key in theirs if key not in ours]
    reshaped = [key for key in ours if key in theirs and ours[key].shape != theirs[key].shape]
    for stream in STREAMS:
        prefix = f'backbone.{stream}.'
        lacks, has = (any(k.startswith(prefix) for k in keys) for keys in (missing, theirs))
        if lacks and not has:
            remedy = 'join the checkpoints of both with tools/fuse_checkpoints.py'
            raise InputError(f'{source}: no weights of the {stream} stream: {remedy}')
    reasons = []
    if missing:
        reasons.append(f'{len(missing)} of {len(ours)} tensors are missing ({missing[0]}, ...)')
    if left_over:
        reasons.append(f'{len(left_over)} do not belong to it ({left_over[0]}, ...)')
    for key in reshaped[:1]:
        shapes = f'{tuple(theirs[key].shape)}, not {tuple(ours[key].shape)}'
        reasons.append(f'{len(reshaped)} have another shape ({key} is {shapes})')
    if reasons:
        given, wanted = infer_network(theirs, source), infer_network(ours, source)
        names = [name for name in given if name in wanted and given[name] != wanted[name]]
        if 'network' in names:
            reasons = [f'{given["network"]}, not {wanted["network"]}']
        elif names:
            values = (', '.join(f'{k}={net[k]!r}' for k in names) for net in (given, wanted))
            reasons = [f'{given["network"]} with {", not ".join(values)}']
        remedy = 'use the config that they were trained with'
        raise InputError(f'{source}: weights of another network: {"; ".join(reasons)}: {remedy}')


def fuse_checkpoints(rgb: str, flow: str) -> dict:
    """Join checkpoints of two streams (files or URLs of any public format) to one of both.

    It is a checkpoint of :class:`~r21d_plugin.models.TwoStreamRecognizer`.

    Raises:
        InputError: If one is not the checkpoint of a network with its classifier, the first not of
            RGB, or their numbers of classes differ.
    """
    tensors: dict[str, Tensor] = {}
    eps, classes = {}, {}
    for stream, path in zip(STREAMS, (rgb, flow), strict=True):
        weights = identify(load_state_dict_of(path), path)
        if weights is None or 'fc.weight' not in weights.tensors:
            raise InputError(
                f'{path}: not the weights of one stream with its classifier: use those of its test'
            )
        head = f'cls_head.classifiers.{stream}.fc_cls.'
        tensors |= add_prefixes(weights.tensors, f'backbone.{stream}.', head)
        eps[f'backbone.{stream}'] = weights.eps
        classes[stream] = len(weights.tensors['fc.weight'])
    if (channels := tensors['backbone.rgb.stem.0.weight'].shape[1]) != 3:
        raise InputError(f'{rgb}: takes {channels} channels, not RGB: are the two swapped?')
    if classes['rgb'] != classes['flow']:
        problem = f'{rgb} has {classes["rgb"]} classes and {flow} {classes["flow"]}'
        raise InputError(f'{problem}: both streams need the same')
    return dict(state_dict=with_eps(tensors, eps), meta=dict(rgb=rgb, flow=flow))


def with_eps(tensors: StateDict, eps: dict[str, float | None]) -> StateDict:
    """State dict whose metadata note the epsilon of each backbone, as VideoResNet's do."""
    state_dict: Any = OrderedDict(tensors)
    state_dict._metadata = {path: dict(norm_eps=EPS if e is None else e) for path, e in eps.items()}
    return state_dict

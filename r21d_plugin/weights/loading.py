"""Load weights that fit a network, say why others do not, and join those of two streams."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from .._errors import InputError
from .checkpoint_files import load_state_dict_of, load_weights_and_classes
from .formats import (
    EPS,
    StateDict,
    Weights,
    add_prefixes,
    format_network,
    identify,
    infer_network,
    unwrap,
)
from .public import PublicWeights

logger = logging.getLogger('r21d_plugin')

STREAMS = ('rgb', 'flow')
"""Streams of the two-stream network, in the order of its scores."""

Head = Literal['required', 'optional', 'any']
"""Whether weights need the model's head, as in a test, may have none, or may have another."""


def load_weights(
    model: nn.Module, source: str | Path | PublicWeights, head: Head = 'optional'
) -> None:
    """Load weights of any public format into a network of this package; log what was loaded.

    Args:
        model (nn.Module): A network of :func:`r21d_plugin.create_model`, a backbone, or a
            recognizer or detector around one. Its batch norm gets the epsilon that the weights were
            trained with, unless ``norm_cfg`` names one.
        source (str, Path or PublicWeights): File or address of the weights, or public ones.
        head (str): ``'required'``: the weights have the model's head, as a test needs.
            ``'optional'``: those of a backbone leave it as it is. ``'any'``: so do those with
            another head, as in finetuning. Defaults to ``'optional'``.

    Raises:
        InputError: If there are none, or they are another network's.
    """
    source = str(source.value.url if isinstance(source, PublicWeights) else source)
    load_matching(model, load_state_dict_of(source), source, head)


def load_matching(
    model: nn.Module, weights: StateDict | Weights, source: str, head: Head = 'optional'
) -> None:
    """Load weights that :func:`match_weights` accepts; log what was loaded."""
    state_dict, report = match_weights(model, weights, source, head)
    model.load_state_dict(state_dict, strict=False)
    logger.info(report)


def match_weights(
    model: nn.Module, weights: StateDict | Weights, source: str, head: Head = 'required'
) -> tuple[StateDict, str]:
    """Convert weights of any public format to a network's names, and check that they are its own.

    See :func:`load_weights`. A head or neck that the weights don't have is left out whole, to be
    trained anew. ``source`` is for messages. Batch norm gets the epsilon of the weights.

    Returns the weights and a report for the log. Raises InputError if a tensor is missing, left
    over or of another shape.
    """
    own = model.state_dict()
    found = weights if isinstance(weights, Weights) else None
    state_dict: Any = weights
    if found is None and own.keys() & {'stem.0.weight', 'backbone.stem.0.weight'}:
        found = identify(state_dict, source)
    report = f'{source}: '
    if found:
        state_dict = named_as_in(own, found)
        report += f'{found.format}, {format_network(infer_network(found.tensors))}: '
    elif not own.keys() >= state_dict.keys():
        state_dict = unwrap(state_dict)
    if head == 'any':
        state_dict = without_other_heads(model, state_dict)
    check_match(model, state_dict, source, head)
    loaded = {k for k, v in state_dict.items() if k in own and own[k].shape == v.shape}
    anew = sorted(filter(must_match, own.keys() - loaded))
    report += f'{len(loaded)} of {len(own)} tensors are loaded, '
    report += f'new: {enumerate_names(anew)}' if anew else 'all'
    noted = {} if found else getattr(state_dict, '_metadata', None) or {}
    notes: dict[str, None] = {}  # each once, in order
    for name, module in model.named_modules():
        eps = noted.get(name, {}).get('norm_eps', found.eps if found else None)
        if eps is not None and hasattr(module, 'set_norm_eps'):
            kept = '' if module.set_norm_eps(eps) else ' not used, as norm_cfg names another'
            notes[f'; epsilon of batch norm {eps:g}{kept}'] = None
    return state_dict, report + ''.join(notes)


def adapt_channels(weights: Weights, channels: int) -> Weights:
    """Adapt conv1 to another number of input channels, summed or repeated, as timm does."""
    weight = weights.tensors.get('stem.0.weight')
    if weight is None or weight.ndim != 5 or weight.shape[1] in (0, channels):
        return weights
    given = weight.shape[1]
    logger.info('conv1: adapted from %d to %d input channels', given, channels)
    if channels == 1:
        weight = weight.sum(dim=1, keepdim=True)
    else:
        repeated = weight.repeat(1, -(-channels // given), 1, 1, 1)[:, :channels]
        weight = repeated * (given / channels)  # activations keep their scale
    return weights._replace(tensors={**weights.tensors, 'stem.0.weight': weight})


def named_as_in(own: StateDict, weights: Weights) -> StateDict:
    """Name weights as the tensors of a network, or of a model around a backbone, are named.

    A classifier goes to ``cls_head.fc_cls``, which MMAction2's heads have, or is left out.
    """
    classifier = next((p for p in ('cls_head.fc_cls.', 'fc.') if f'{p}weight' in own), None)
    if 'backbone.stem.0.weight' not in own:
        return add_prefixes(weights.tensors, '', classifier)
    return {**add_prefixes(weights.tensors, 'backbone.', classifier), **weights.others}


class Misfits(NamedTuple):
    """Names of tensors by which weights and a model differ, but for counters of batches."""

    missing: list[str]
    left_over: list[str]
    reshaped: list[str]


def find_misfits(model: nn.Module, state_dict: StateDict) -> Misfits:
    """Compare weights with a model, tensor by tensor."""
    own = model.state_dict()
    ours, theirs = filter(must_match, own), filter(must_match, state_dict)
    return Misfits(
        [key for key in ours if key not in state_dict],
        [key for key in theirs if key not in own and not is_built_later(model, key)],
        [k for k in own if k in state_dict and own[k].shape != state_dict[k].shape],
    )


def must_match(key: str) -> bool:
    """Whether a tensor has to match: not a counter of batches."""
    return not key.endswith('num_batches_tracked')


def is_built_later(model: nn.Module, key: str) -> bool:
    """Whether a tensor is of a module that is still None, as in MMAction2's TPNHead."""
    module: Any = model
    for name in key.split('.'):
        module = getattr(module, name, False)
        if module is None:
            return True
    return False


def head_of(key: str) -> str:
    """Name of the head, neck or classifier that a tensor is of; empty if it is the network's."""
    part = key.partition('.')[0]
    return '' if re.fullmatch(r'backbone|stem|layer\d', part) else part


def without_other_heads(model: nn.Module, state_dict: StateDict) -> StateDict:
    """Leave out each head and neck that is not the model's in all of its tensors."""
    others = {head_of(key) for keys in find_misfits(model, state_dict) for key in keys} - {''}
    if not others.intersection(map(head_of, state_dict)):
        return state_dict
    return {key: value for key, value in state_dict.items() if head_of(key) not in others}


def enumerate_names(names: list[str], limit: int = 6) -> str:
    """Join names by commas, the first ones of many."""
    rest = f', ... ({len(names)} in all)' if len(names) > limit else ''
    return ', '.join(names[:limit]) + rest


def check_match(
    model: nn.Module, state_dict: StateDict, source: str, head: Head = 'required'
) -> None:
    """Check that weights are those of a model, tensor by tensor; see :func:`match_weights`."""
    misfits = find_misfits(model, state_dict)
    headless = not any(map(head_of, state_dict))
    if head == 'any' or (head == 'optional' and headless):
        misfits = Misfits(*([k for k in keys if not head_of(k)] for keys in misfits))
    if not any(misfits):
        return
    for stream in STREAMS:
        prefix = f'backbone.{stream}.'
        lacks, has = (any(k.startswith(prefix) for k in x) for x in (misfits.missing, state_dict))
        if lacks and not has:
            remedy = 'join the checkpoints of both with tools/fuse_checkpoints.py'
            raise InputError(f'{source}: no weights of the {stream} stream: {remedy}')
    if headless and not any(misfits[1:]) and all(map(head_of, misfits.missing)):
        remedy = 'finetune from them (load_from), and test what that saves'
        raise InputError(f'{source}: no weights of the head ({misfits.missing[0]}, ...): {remedy}')
    what = 'network' if any(not head_of(key) for keys in misfits for key in keys) else 'head'
    reason = name_difference(model, state_dict, source) or describe(misfits, model, state_dict)
    remedy = 'use the config that they were trained with'
    raise InputError(f'{source}: weights of another {what}: {reason}: {remedy}')


def name_difference(model: nn.Module, state_dict: StateDict, source: str) -> str:
    """Name the networks, or their arguments, in which weights and a model differ, if they do."""
    found = [identify(x, source) for x in (state_dict, model.state_dict())]
    given, wanted = (infer_network(weights.tensors) if weights else {} for weights in found)
    names = [name for name in given if name in wanted and given[name] != wanted[name]]
    if 'network' in names:
        return f'{given["network"]}, not {wanted["network"]}'
    values = (', '.join(f'{k}={net[k]!r}' for k in names) for net in (given, wanted))
    return f'{given["network"]} with {", not ".join(values)}' if names else ''


def describe(misfits: Misfits, model: nn.Module, state_dict: StateDict) -> str:
    """Count the tensors by which weights and a model differ, with an example of each kind."""
    missing, left_over, reshaped = misfits
    own, reasons = model.state_dict(), []
    if missing:
        count = sum(map(must_match, own))
        reasons.append(f'{len(missing)} of {count} tensors are missing ({missing[0]}, ...)')
    if left_over:
        reasons.append(f'{len(left_over)} do not belong to it ({left_over[0]}, ...)')
    for key in reshaped[:1]:
        shapes = f'{tuple(state_dict[key].shape)}, not {tuple(own[key].shape)}'
        reasons.append(f'{len(reshaped)} have another shape ({key} is {shapes})')
    return '; '.join(reasons)


def fuse_checkpoints(rgb: str, flow: str) -> dict:
    """Join checkpoints of two streams (files or URLs of any public format) to one of both.

    It is a checkpoint of :class:`~r21d_plugin.models.TwoStreamRecognizer`.

    Raises:
        InputError: If one is not the checkpoint of a network with its classifier, the first not of
            RGB, or their numbers of classes differ.
    """
    tensors: dict[str, Tensor] = {}
    eps, classes = {}, {}
    names: tuple[str, ...] = ()
    for stream, path in zip(STREAMS, (rgb, flow)):
        state_dict, found = load_weights_and_classes(path)
        weights = identify(state_dict, path)
        if weights is None or 'fc.weight' not in weights.tensors:
            raise InputError(
                f'{path}: not the weights of one stream with its classifier: use those of its test'
            )
        head = f'cls_head.classifiers.{stream}.fc_cls.'
        tensors.update(add_prefixes(weights.tensors, f'backbone.{stream}.', head))
        eps[f'backbone.{stream}'] = weights.eps
        classes[stream] = len(weights.tensors['fc.weight'])
        names = names or found
    if (channels := tensors['backbone.rgb.stem.0.weight'].shape[1]) != 3:
        raise InputError(f'{rgb}: takes {channels} channels, not RGB: are the two swapped?')
    if classes['rgb'] != classes['flow']:
        problem = f'{rgb} has {classes["rgb"]} classes and {flow} {classes["flow"]}'
        raise InputError(f'{problem}: both streams need the same')
    meta = dict(rgb=rgb, flow=flow, dataset_meta=dict(classes=names))
    return dict(state_dict=with_eps(tensors, eps), meta=meta)


def with_eps(tensors: StateDict, eps: dict[str, float | None]) -> StateDict:
    """State dict whose metadata note the epsilon of each backbone, as VideoResNet's do."""
    state_dict: Any = OrderedDict(tensors)
    state_dict._metadata = {path: dict(norm_eps=EPS if e is None else e) for path, e in eps.items()}
    return state_dict

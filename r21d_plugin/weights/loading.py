"""Load weights that fit a network, say why others do not, and join those of two streams."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal, Mapping, NamedTuple

from torch import Tensor, nn

from .._errors import InputError
from .._norm_eps import norm_eps, set_norm_eps
from .checkpoint_files import load_checkpoint, load_state_dict_of, tensors_alone
from .class_names import classes_of
from .formats import (
    EPS,
    FORMS,
    StateDict,
    Weights,
    beside_backbone,
    find_networks,
    format_network,
    identify,
    infer_network,
    noted_eps,
    replace_prefixes,
    take_network,
    unwrapped,
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
    """Load weights of any public format into a model with a network of this package.

    The log says what was loaded. Batch norm gets the epsilon that the weights were trained with,
    unless ``norm_cfg`` names one.

    Args:
        model (nn.Module): Any model that holds one such network: one of
            :func:`r21d_plugin.create_model`, a backbone, a recognizer or detector, a PyTorchVideo
            ``Net`` of :mod:`r21d_plugin.pytorchvideo`, what has one of these as an attribute, or
            what ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel`` make of these.
        source (str, Path or PublicWeights): File or address of the weights, or public ones.
        head (str): ``'required'``: the weights have the model's head, as a test needs.
            ``'optional'``: those of a backbone leave it as it is. ``'any'``: so do those with
            another head, as in finetuning, and conv1 is adapted to the model's input channels.
            Defaults to ``'optional'``.

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
    for path, note in state_dict._metadata.items():  # a model may not take it itself
        set_norm_eps(model.get_submodule(path), note['norm_eps'])
    logger.info(report)


def read_weights(source: str) -> Weights:
    """Read the weights of one network from a file or address; an InputError if it has none."""
    checkpoint = load_checkpoint(source, 'cpu')
    weights = identify(tensors_alone(checkpoint['state_dict'], source), source)
    return weights._replace(classes=classes_of(checkpoint, source))


class Place(NamedTuple):
    """Where a model has networks of this family, and how it names their tensors."""

    paths: dict[str, str]  # of the networks, by their prefixes without wrappers
    names: dict[str, str]  # the model's names, by those of identify if it has one network
    root: str | None = None  # path of the recognizer around it, if there is one


def find_place(model: nn.Module) -> Place:
    """Find a model's networks by the names of its tensors, whatever is around them."""
    plain = unwrapped(model.state_dict())
    networks = find_networks(plain)
    paths = {}
    for prefix, marker in networks.items():
        name = plain[prefix + marker]
        paths[prefix] = name[: name.rindex(marker.partition('.')[0])][:-1]
    if len(networks) != 1:
        return Place(paths, plain)
    ((prefix, marker),) = networks.items()
    own, rest = take_network(plain, prefix)
    names = FORMS[marker].convert(own)
    if not f'.{prefix}'.endswith('.backbone.'):
        return Place(paths, names)
    root = paths[prefix].rpartition('backbone')[0]
    return Place(paths, {**names, **beside_backbone(rest, prefix)}, root)


def match_weights(
    model: nn.Module, weights: StateDict | Weights, source: str, head: Head = 'required'
) -> tuple[Any, str]:
    """Convert weights of any public format to a model's names, and check that they are its own.

    See :func:`load_weights`. A head or neck that the weights don't have is left out whole, to be
    trained anew. ``source`` is for messages.

    Returns the state dict, whose metadata note the epsilon of batch norm, and a report for the log.
    Raises InputError if a tensor is missing, left over or of another shape.
    """
    place, own = find_place(model), model.state_dict()
    found = weights if isinstance(weights, Weights) else None
    given: Any = weights
    if found is None and len(place.paths) == 1:
        found = identify(given, source)
    adapted = ''
    if found and head == 'any' and 'stem.0.weight' in place.names:
        found, adapted = adapt_channels(found, own[place.names['stem.0.weight']].shape[1])
    noted = dict.fromkeys(place.paths, found.eps) if found else noted_eps(given)
    given = named_as_in(place, found or given)
    given = {k: v for k, v in given.items() if not is_built_later(model, (place.root or '') + k)}
    wanted = {key: own[name] for key, name in place.names.items()}
    if head == 'any':
        given = without_other_heads(wanted, given)
    check_match(place.names, wanted, given, source, head)
    state_dict: Any = OrderedDict()
    for key, value in given.items():
        if key in wanted and value.shape == wanted[key].shape:
            state_dict[place.names[key]] = value
    anew = sorted(filter(must_match, own.keys() - state_dict.keys()))
    report = f'{source}: '
    if found:
        report += f'{found.format}, {format_network(infer_network(found.tensors))}: '
    report += f'{len(state_dict)} of {len(own)} tensors are loaded, '
    report += f'new: {enumerate_names(anew)}' if anew else 'all'
    state_dict._metadata = {}
    notes: dict[str, None] = {}  # each once, in order
    for prefix, path in place.paths.items():
        eps = noted.get(prefix)
        notes[explain_eps(model.get_submodule(path), eps, found)] = None
        if eps is not None:
            state_dict._metadata[path] = dict(norm_eps=eps)
    return state_dict, ''.join([report, *notes, adapted])


def named_as_in(place: Place, weights: StateDict | Weights) -> StateDict:
    """Name weights by the keys of ``place.names``, without what the model has no room for."""
    if not isinstance(weights, Weights):
        return {plain: weights[name] for plain, name in unwrapped(weights).items()}
    named = weights.tensors
    if 'fc.weight' not in place.names:
        named = {key: value for key, value in named.items() if not key.startswith('fc.')}
    return named if place.root is None else {**named, **weights.others}


def explain_eps(network: nn.Module, eps: float | None, found: Weights | None) -> str:
    """Say which epsilon of batch norm a network gets, and the reason if it was inferred."""
    if (own := norm_eps(network)) is None:
        return ''
    if eps is None:
        return f'; epsilon of batch norm stays {own:g}, as the file notes none'
    if own != eps and getattr(network, 'norm_eps_is_given', False):
        return f'; epsilon of batch norm {eps:g} not used, as norm_cfg names another'
    return inferred(found) if found and found.reason else f'; epsilon of batch norm {eps:g}'


def inferred(weights: Weights) -> str:
    """Say which epsilon of batch norm was inferred, why, and how to set another."""
    text = f'; epsilon of batch norm {weights.eps:g}, inferred, as the file notes none'
    return f"{text} ({weights.reason}): norm_cfg=dict(type='BN3d', eps=...) sets another"


def adapt_channels(weights: Weights, channels: int) -> tuple[Weights, str]:
    """Adapt conv1 to another number of input channels, summed or repeated, as timm does.

    Returns the weights, and what the log says of it.
    """
    weight = weights.tensors.get('stem.0.weight')
    if weight is None or weight.ndim != 5 or weight.shape[1] in (0, channels):
        return weights, ''
    given = weight.shape[1]
    if channels == 1:
        weight = weight.sum(dim=1, keepdim=True)
    else:
        repeated = weight.repeat(1, -(-channels // given), 1, 1, 1)[:, :channels]
        weight = repeated * (given / channels)  # activations keep their scale
    weights = weights._replace(tensors={**weights.tensors, 'stem.0.weight': weight})
    return weights, f'; conv1: adapted from {given} to {channels} input channels'


def find_misfits(wanted: StateDict, given: StateDict) -> list[list[str]]:
    """Names by which weights and a model's differ: those missing, left over, of another shape."""
    return [
        [key for key in filter(must_match, wanted) if key not in given and not is_scale(key)],
        [key for key in filter(must_match, given) if key not in wanted],
        [key for key in wanted if key in given and wanted[key].shape != given[key].shape],
    ]


def must_match(key: str) -> bool:
    """Whether a tensor has to match: not a counter of batches."""
    return not key.endswith('num_batches_tracked')


def is_scale(key: str) -> bool:
    """Whether a tensor scales the numbers of a head, which others give as they are."""
    return key.endswith(('.target_mean', '.target_std'))


def is_built_later(model: nn.Module, key: str) -> bool:
    """Whether a tensor is of a module that is still None, as in MMAction2's TPNHead."""
    module: Any = model
    for name in key.split('.'):
        module = getattr(module, name, False)
        if module is None:
            return True
    return False


def head_of(key: str) -> str:
    """Name of the head or neck that a tensor is of; empty if it is the network's."""
    part = key.partition('.')[0]
    return '' if re.fullmatch(r'backbone|stem|layer\d', part) else part.replace('fc', 'cls_head')


def without_other_heads(wanted: StateDict, given: StateDict) -> StateDict:
    """Leave out each head and neck that is not the model's in all of its tensors."""
    others = {head_of(key) for keys in find_misfits(wanted, given) for key in keys} - {''}
    return {key: value for key, value in given.items() if head_of(key) not in others}


def enumerate_names(names: list[str], limit: int = 6) -> str:
    """Join names by commas, the first ones of many."""
    rest = f', ... ({len(names)} in all)' if len(names) > limit else ''
    return ', '.join(names[:limit]) + rest


def check_match(
    names: Mapping[str, str], wanted: StateDict, given: StateDict, source: str, head: Head
) -> None:
    """Check that weights are those of a model, tensor by tensor; see :func:`match_weights`.

    ``names`` are the model's, for messages.
    """
    misfits = find_misfits(wanted, given)
    headless = not any(map(head_of, given))
    if head == 'any' or (head == 'optional' and headless):
        misfits = [[key for key in keys if not head_of(key)] for keys in misfits]
    if not any(misfits):
        return
    missing, left_over, reshaped = misfits
    for stream in STREAMS:
        prefix = f'backbone.{stream}.'
        lacks, has = (any(k.startswith(prefix) for k in x) for x in (missing, given))
        if lacks and not has:
            remedy = 'join the checkpoints of both with tools/fuse_checkpoints.py'
            raise InputError(f'{source}: no weights of the {stream} stream: {remedy}')
    if headless and not any(misfits[1:]) and all(map(head_of, missing)):
        remedy = 'finetune from them (load_from), and test what that saves'
        raise InputError(f'{source}: no weights of the head ({names[missing[0]]}, ...): {remedy}')
    what = 'network' if any(not head_of(key) for keys in misfits for key in keys) else 'head'
    if not (reason := name_difference(wanted, given)):
        total, reasons = sum(map(must_match, wanted)), []
        for key in missing[:1]:
            reasons.append(f'{len(missing)} of {total} tensors are missing ({names[key]}, ...)')
        for key in left_over[:1]:
            reasons.append(f'{len(left_over)} do not belong to it ({key}, ...)')
        for key in reshaped[:1]:
            shapes = f'{tuple(given[key].shape)}, not {tuple(wanted[key].shape)}'
            reasons.append(f'{len(reshaped)} have another shape ({names[key]} is {shapes})')
        reason = '; '.join(reasons)
    remedy = 'use the config that they were trained with'
    raise InputError(f'{source}: weights of another {what}: {reason}: {remedy}')


def name_difference(wanted: StateDict, given: StateDict) -> str:
    """Name the networks, or their arguments, in which weights and a model differ, if they do."""
    theirs, ours = infer_network(given), infer_network(wanted)
    names = [name for name in theirs if name in ours and theirs[name] != ours[name]]
    if 'network' in names:
        return f'{theirs["network"]}, not {ours["network"]}'
    values = (', '.join(f'{k}={net[k]!r}' for k in names) for net in (theirs, ours))
    return f'{theirs["network"]} with {", not ".join(values)}' if names else ''


def fuse_checkpoints(rgb: str, flow: str) -> dict[str, Any]:
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
        weights = read_weights(path)
        if 'fc.weight' not in weights.tensors:
            raise InputError(
                f'{path}: not the weights of one stream with its classifier: use those of its test'
            )
        head = f'cls_head.classifiers.{stream}.fc_cls.'
        prefixes = {'fc.': head, '': f'backbone.{stream}.'}
        tensors.update(replace_prefixes(weights.tensors, prefixes))
        eps[f'backbone.{stream}'] = weights.eps
        if weights.reason:
            logger.info(f'{path}{inferred(weights)}')
        classes[stream] = len(weights.tensors['fc.weight'])
        names = names or weights.classes
    if (channels := tensors['backbone.rgb.stem.0.weight'].shape[1]) != 3:
        raise InputError(f'{rgb}: takes {channels} channels, not RGB: are the two swapped?')
    if classes['rgb'] != classes['flow']:
        problem = f'{rgb} has {classes["rgb"]} classes and {flow} {classes["flow"]}'
        raise InputError(f'{problem}: both streams need the same')
    meta = dict(rgb=rgb, flow=flow, dataset_meta=dict(classes=names))
    return dict(state_dict=with_eps(tensors, eps), meta=meta)


def with_eps(tensors: StateDict, eps: dict[str, float | None]) -> StateDict:
    """State dict whose metadata note the epsilon of each backbone, as VideoResNet's do."""
    state_dict = OrderedDict(tensors)
    notes = {path: dict(norm_eps=EPS if e is None else e) for path, e in eps.items()}
    vars(state_dict)['_metadata'] = notes
    return state_dict

"""Load weights into models, report mismatches, and fuse the checkpoints of two streams."""

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
from .public import PublicWeights, classes_of

logger = logging.getLogger('r21d_plugin')

STREAMS = ('rgb', 'flow')
"""Streams of the two-stream network, in the order of its scores."""

Head = Literal['required', 'optional', 'any', 'unused']
"""Whether weights must have the model's head (tests), may have none, or may have another one.

Another head is possible in finetuning (``'any'``), which adapts conv1, and for features
(``'unused'``).
"""

OTHER_HEADS = ('any', 'unused')
"""Values of :data:`Head` for weights that may have another head."""


def load_weights(
    model: nn.Module, source: str | Path | PublicWeights, head: Head = 'optional'
) -> None:
    """Load weights of any public format into a model with a network of this package.

    The log reports the loaded tensors. Batch norm gets the epsilon with which the weights were
    trained, unless ``norm_cfg`` names one.

    Args:
        model (nn.Module): Any model that contains one such network: the result of
            :func:`r21d_plugin.create_model`, a backbone, a recognizer or detector, a PyTorchVideo
            ``Net`` of :mod:`r21d_plugin.pytorchvideo`, a module with one of these as an attribute,
            or any of these wrapped by ``torch.compile``, ``DataParallel`` or
            ``DistributedDataParallel``.
        source (str, Path or PublicWeights): File or URL of the weights, or public weights.
        head (str): ``'required'``: the weights must have all of the model's parameters, as for a
            test. ``'optional'``: the weights may lack a head, and the model's head is kept.
            ``'any'``: the weights may also have another head, as for finetuning; the model's head
            is then kept, and conv1 is adapted to the model's input channels. ``'unused'``: the
            weights may have another head, as for features, and conv1 is not adapted. Defaults to
            ``'optional'``. Any module beside the network that has the same name in file and model
            counts as a head.

    Raises:
        InputError: If the file has no weights, or they belong to another network.
    """
    source = str(source.value.url if isinstance(source, PublicWeights) else source)
    load_matching(model, load_state_dict_of(source), source, head)


def load_matching(
    model: nn.Module, weights: StateDict | Weights, source: str, head: Head = 'optional'
) -> None:
    """Load weights after :func:`match_weights`; log which tensors were loaded."""
    state_dict, report = match_weights(model, weights, source, head)
    model.load_state_dict(state_dict, strict=False)
    for path, note in state_dict._metadata.items():  # not every model applies metadata itself
        set_norm_eps(model.get_submodule(path), note['norm_eps'])
    logger.info(report)


def read_weights(source: str) -> Weights:
    """Read the weights of one network from a file or URL; raise an InputError if it has none."""
    checkpoint = load_checkpoint(source, 'cpu')
    weights = identify(tensors_alone(checkpoint['state_dict'], source), source)
    return weights._replace(classes=classes_of(checkpoint, source))


class Place(NamedTuple):
    """The networks of this family in a model, and the model's names of their tensors."""

    paths: dict[str, str]  # paths of the networks, by prefix without wrappers
    names: dict[str, str]  # the model's names; keys are names of identify if it has one network
    root: str | None = None  # path of the enclosing recognizer, if there is one


def find_place(model: nn.Module) -> Place:
    """Find the networks in any model, by the names of its tensors."""
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
    """Convert weights of any public format to a model's names, and check that they fit.

    See :func:`load_weights`. A head or neck that the weights lack is omitted as a whole, to be
    trained anew. ``source`` is for messages.

    Returns the state dict, with the epsilon of batch norm in its metadata, and a report for the
    log. Raises an InputError if a tensor is missing, superfluous or of another shape.
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
    if head in OTHER_HEADS:
        given = without_other_heads(wanted, given)
    check_match(place.names, wanted, given, source, head)
    state_dict: Any = OrderedDict()
    for key, value in given.items():
        if key in wanted and value.shape == wanted[key].shape:
            state_dict[place.names[key]] = value
    if place.root is None and head not in OTHER_HEADS and not isinstance(weights, Weights):
        state_dict.update(beside_network(place, own, weights))
    anew = sorted(filter(must_match, own.keys() - state_dict.keys()))
    if head == 'required':
        check_complete(model, anew, source)
    report = f'{source}: '
    if found:
        report += f'{found.format}, {format_network(infer_network(found.tensors))}: '
    report += f'{len(state_dict)} of {len(own)} tensors are loaded, '
    report += f'new: {enumerate_names(anew)}' if anew else 'all'
    state_dict._metadata = {}
    notes: dict[str, None] = {}  # an ordered set
    for prefix, path in place.paths.items():
        eps = noted.get(prefix)
        notes[explain_eps(model.get_submodule(path), eps, found)] = None
        if eps is not None:
            state_dict._metadata[path] = dict(norm_eps=eps)
    return state_dict, ''.join([report, *notes, adapted])


def named_as_in(place: Place, weights: StateDict | Weights) -> StateDict:
    """Rename weights to the keys of ``place.names``, and omit those that the model lacks."""
    if not isinstance(weights, Weights):
        return {plain: weights[name] for plain, name in unwrapped(weights).items()}
    named = (with_target_scale(weights) if place.root is None else weights).tensors
    if 'fc.weight' not in place.names:
        named = {key: value for key, value in named.items() if not key.startswith('fc.')}
    return named if place.root is None else {**named, **weights.others}


def beside_network(place: Place, own: StateDict, weights: StateDict) -> StateDict:
    """Return the weights of modules beside the network, by the model's names.

    These modules have the same names in file and model. If any tensor has another shape, none is
    returned.
    """
    theirs, known = unwrapped(weights), {*place.names.values()}
    beside = {
        name: weights[theirs[plain]]
        for plain, name in unwrapped(own).items()
        if plain in theirs and name not in known
    }
    fits = all(value.shape == own[name].shape for name, value in beside.items())
    return beside if fits else {}


def check_complete(model: nn.Module, anew: list[str], source: str) -> None:
    """Raise an InputError if a parameter of a model is among the tensors that are not loaded."""
    lacking = [name for name, _ in model.named_parameters() if name in anew]
    if lacking:
        remedy = 'load those of the whole model'
        raise InputError(f'{source}: no weights of {enumerate_names(lacking)}: {remedy}')


def with_target_scale(weights: Weights) -> Weights:
    """Fold the scale of a regression head's targets into the classifier."""
    mean, std = (weights.others.get(f'cls_head.target_{name}') for name in ('mean', 'std'))
    if mean is None or std is None or 'fc.bias' not in weights.tensors:
        return weights
    own = dict(weights.tensors)
    own['fc.weight'], own['fc.bias'] = own['fc.weight'] * std[:, None], own['fc.bias'] * std + mean
    return weights._replace(tensors=own)


def explain_eps(network: nn.Module, eps: float | None, found: Weights | None) -> str:
    """Describe which epsilon of batch norm a network gets, and the reason if it was inferred."""
    if (own := norm_eps(network)) is None:
        return ''
    if eps is None:
        return f'; epsilon of batch norm stays {own:g}, as the file has none'
    if own != eps and getattr(network, 'norm_eps_is_given', False):
        return f'; epsilon of batch norm {eps:g} not used, as norm_cfg names another'
    return inferred(found) if found and found.reason else f'; epsilon of batch norm {eps:g}'


def inferred(weights: Weights) -> str:
    """Describe which epsilon of batch norm was inferred, why, and how to set another one."""
    text = f'; epsilon of batch norm {weights.eps:g}, inferred, as the file has none'
    return f"{text} ({weights.reason}): norm_cfg=dict(type='BN3d', eps=...) sets another"


def adapt_channels(weights: Weights, channels: int) -> tuple[Weights, str]:
    """Adapt conv1 to another number of input channels by summing or repeating, as timm does.

    Returns the weights and a note for the log.
    """
    weight = weights.tensors.get('stem.0.weight')
    if weight is None or weight.ndim != 5 or weight.shape[1] in (0, channels):
        return weights, ''
    given = weight.shape[1]
    if channels == 1:
        weight = weight.sum(dim=1, keepdim=True)
    else:
        repeated = weight.repeat(1, -(-channels // given), 1, 1, 1)[:, :channels]
        weight = repeated * (given / channels)  # keeps the scale of activations
    weights = weights._replace(tensors={**weights.tensors, 'stem.0.weight': weight})
    return weights, f'; conv1: adapted from {given} to {channels} input channels'


def find_misfits(wanted: StateDict, given: StateDict) -> list[list[str]]:
    """Return the names of missing tensors, superfluous ones, and those of another shape."""
    return [
        [key for key in filter(must_match, wanted) if key not in given and not is_scale(key)],
        [key for key in filter(must_match, given) if key not in wanted],
        [key for key in wanted if key in given and wanted[key].shape != given[key].shape],
    ]


def must_match(key: str) -> bool:
    """Whether a tensor has to match; counters of batches do not."""
    return not key.endswith('num_batches_tracked')


def is_scale(key: str) -> bool:
    """Whether a tensor scales the output of a regression head; other packages' heads lack it."""
    return key.endswith(('.target_mean', '.target_std'))


def is_built_later(model: nn.Module, key: str) -> bool:
    """Whether a tensor belongs to a module that is still None, as in MMAction2's TPNHead."""
    module: Any = model
    for name in key.split('.'):
        module = getattr(module, name, False)
        if module is None:
            return True
    return False


def head_of(key: str) -> str:
    """Return the name of a tensor's head or neck; empty if it belongs to the network."""
    part = key.partition('.')[0]
    return '' if re.fullmatch(r'backbone|stem|layer\d', part) else part.replace('fc', 'cls_head')


def without_other_heads(wanted: StateDict, given: StateDict) -> StateDict:
    """Omit heads and necks with any tensor that does not match the model."""
    others = {head_of(key) for keys in find_misfits(wanted, given) for key in keys} - {''}
    return {key: value for key, value in given.items() if head_of(key) not in others}


def enumerate_names(names: list[str], limit: int = 6) -> str:
    """Join names with commas; only the first ones if there are many."""
    rest = f', ... ({len(names)} in all)' if len(names) > limit else ''
    return ', '.join(names[:limit]) + rest


def check_match(
    names: Mapping[str, str], wanted: StateDict, given: StateDict, source: str, head: Head
) -> None:
    """Check that weights fit a model, tensor by tensor; see :func:`match_weights`.

    ``names`` are the model's names of tensors, for messages.
    """
    misfits = find_misfits(wanted, given)
    headless = not any(map(head_of, given))
    if head in OTHER_HEADS or (head == 'optional' and headless):
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
        remedy = 'finetune from them (load_from), and test the resulting checkpoint'
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
    """Describe how the networks of weights and model, or their arguments, differ, if they do."""
    theirs, ours = infer_network(given), infer_network(wanted)
    names = [name for name in theirs if name in ours and theirs[name] != ours[name]]
    if 'network' in names:
        return f'{theirs["network"]}, not {ours["network"]}'
    values = (', '.join(f'{k}={net[k]!r}' for k in names) for net in (theirs, ours))
    return f'{theirs["network"]} with {", not ".join(values)}' if names else ''


def fuse_checkpoints(rgb: str, flow: str) -> dict[str, Any]:
    """Fuse the checkpoints of two streams (files or URLs of any public format).

    The result is a checkpoint of :class:`~r21d_plugin.models.TwoStreamRecognizer`.

    Raises:
        InputError: If one is not a checkpoint of a network with its classifier, the first is not
            for RGB, or the numbers of classes differ.
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
        if names != weights.classes and {*names} == {*weights.classes}:
            raise InputError(f'{rgb} and {flow}: same classes, other order: train one again')
        names = names or weights.classes
    if (channels := tensors['backbone.rgb.stem.0.weight'].shape[1]) != 3:
        raise InputError(f'{rgb}: takes {channels} channels, not RGB: are the two swapped?')
    if classes['rgb'] != classes['flow']:
        problem = f'{rgb} has {classes["rgb"]} classes and {flow} {classes["flow"]}'
        raise InputError(f'{problem}: both streams need the same number')
    meta = dict(rgb=rgb, flow=flow, dataset_meta=dict(classes=names))
    return dict(state_dict=with_eps(tensors, eps), meta=meta)


def with_eps(tensors: StateDict, eps: Mapping[str, float | None]) -> dict[str, Tensor]:
    """Return a state dict with the epsilon of each backbone in its metadata, as in VideoResNet."""
    state_dict = OrderedDict(tensors)
    notes = {path: dict(norm_eps=EPS if e is None else e) for path, e in eps.items()}
    vars(state_dict)['_metadata'] = notes
    return state_dict

"""What published weights are, told by the names and shapes of tensors: format and network.

Every format is converted to one: torchvision's names, which are those of our backbones
(``stem.0.weight``, ``layer1.0.conv1.0.weight``, ...), with ``fc`` for the classifier.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Mapping, NamedTuple

from torch import Tensor

from .._errors import InputError

StateDict = Mapping[str, Tensor]

EPS, TORCHVISION_EPS = 1e-3, 1e-5
"""Epsilon of batch norm in VMZ and ig65m-pytorch (34 layers), and in torchvision (18 layers)."""

NET_NAMES = {f'layer{i}.': f'blocks.{i}.' for i in range(1, 5)}
NET_NAMES.update({'stem.': 'blocks.0.', 'fc.': 'blocks.5.proj.'})
FROM_NET = {net: torchvision for torchvision, net in NET_NAMES.items()}
"""Prefixes of tensor names in a PyTorchVideo ``Net`` by torchvision's, and the reverse."""


class Weights(NamedTuple):
    """Weights of a network, read from any format."""

    format: str  # for messages
    tensors: dict[str, Tensor]  # by torchvision's names
    eps: float | None = None  # of batch norm in training, if known
    others: StateDict = MappingProxyType({})  # a neck's or another head's, by their own names


def identify(state_dict: StateDict, source: str) -> Weights | None:
    """Identify the format of weights by their names, and convert them to torchvision's.

    Returns None if they are not those of one network of this family.

    Raises:
        InputError: If they are of MMAction2's 3D ResNets, other networks with similar names.
    """
    entries = (getattr(state_dict, '_metadata', None) or {}).values()  # as VideoResNet writes it
    noted = next((entry['norm_eps'] for entry in entries if 'norm_eps' in entry), None)
    if 'backbone.stem.0.weight' in state_dict:
        prefixes = {'backbone.': '', 'cls_head.fc_cls.': 'fc.'}
        ours = {key: value for key, value in state_dict.items() if key.startswith((*prefixes,))}
        others = {key: value for key, value in state_dict.items() if key not in ours}
        tensors = replace_prefixes(ours, prefixes)
        return Weights('a checkpoint of r21d_plugin', tensors, noted, others)
    if 'stem.0.weight' in state_dict:
        tensors = dict(state_dict)
        if noted is not None:
            return Weights('a state dict of r21d_plugin', tensors, noted)
        if 'fc.weight' not in tensors:
            return Weights('weights of a backbone', tensors)
        eps = published_eps(tensors)
        publisher = 'ig65m-pytorch' if eps == EPS else 'torchvision'
        return Weights(f'weights of {publisher}', tensors, eps)
    if 'blocks.0.0.weight' in state_dict:
        tensors = replace_prefixes(state_dict, FROM_NET)
        return Weights('weights of a PyTorchVideo Net', tensors, noted)
    if 'conv1_w' in state_dict:
        tensors = rename_caffe2(state_dict)
        return Weights("a Caffe2 pickle of VMZ, the authors' release", tensors, EPS)
    if any('.conv_s.' in key for key in state_dict):
        other = "MMAction2's ResNet2Plus1d, which is not the paper's network (83 mid channels in "
        other += 'conv1, a max-pool after it, factorised shortcuts)'
    elif 'backbone.conv1.conv.weight' in state_dict:
        other = 'a ResNet of MMAction2, which is no network of this family'
    else:
        return None
    raise InputError(f"{source}: weights of {other}: test them with MMAction2's own config")


def published_eps(tensors: StateDict) -> float:
    """Epsilon of batch norm with which weights of this depth are published for PyTorch."""
    return EPS if any(key.startswith('layer1.2.') for key in tensors) else TORCHVISION_EPS


def add_prefixes(tensors: StateDict, backbone: str, classifier: str | None) -> dict[str, Tensor]:
    """Prefix the names of a backbone; ``classifier`` replaces ``fc.``, None leaves it out."""
    if classifier is None:
        tensors = {key: value for key, value in tensors.items() if not key.startswith('fc.')}
    return replace_prefixes(tensors, {'fc.': classifier or '', '': backbone})


def replace_prefixes(tensors: StateDict, prefixes: Mapping[str, str]) -> dict[str, Tensor]:
    """Rename tensors: the first of the prefixes that a name has is replaced."""
    renamed = {}
    for key, value in tensors.items():
        old = next((prefix for prefix in prefixes if key.startswith(prefix)), '')
        renamed[prefixes.get(old, '') + key[len(old) :]] = value
    return renamed


def rename_caffe2(blobs: StateDict) -> dict[str, Tensor]:
    """Rename VMZ's blobs as torchvision names tensors; an unknown blob keeps its name.

    VMZ numbers the blocks from conv2_x to conv5_x, and calls spatial convolutions 'middle'.
    """
    # riv is the running variance, not its inverse.
    tensors = dict(w='weight', s='weight', b='bias', rm='running_mean', riv='running_var')
    factorized = 'conv1_middle_w' in blobs
    parts = dict(conv='0.3' if factorized else '0', spatbn='1')
    parts.update(conv_middle='0.0', spatbn_middle='0.1')
    projections = (re.fullmatch(r'shortcut_projection_(\d{1,3})_w', blob) for blob in blobs)
    # First blocks of conv2_x to conv5_x; those of the latter three have a projection.
    firsts = [0, *sorted(int(match[1]) for match in projections if match)]

    def block_path(block: str) -> str:
        group = max(i for i, first in enumerate(firsts) if first <= int(block))
        return f'layer{group + 1}.{int(block) - firsts[group]}'

    def module_path(module: str) -> str | None:
        if match := re.fullmatch(r'conv1(_middle)?(_spatbn_relu)?', module):
            return f'stem.{3 * (factorized and not match[1]) + bool(match[2])}'
        if match := re.fullmatch(r'comp_(\d{1,3})_(conv|spatbn)_(\d)(_middle|)', module):
            return f'{block_path(match[1])}.conv{match[3]}.{parts[match[2] + match[4]]}'
        if match := re.fullmatch(r'shortcut_projection_(\d{1,3})(_spatbn)?', module):
            return f'{block_path(match[1])}.downsample.{int(bool(match[2]))}'
        return 'fc' if re.fullmatch(r'last_out_L\d+', module) else None

    renamed = {}
    for blob, value in blobs.items():
        module, _, suffix = blob.rpartition('_')
        path, tensor = module_path(module), tensors.get(suffix)
        renamed[f'{path}.{tensor}' if path and tensor else blob] = value
    return renamed


NETWORKS = {
    ('3D',) * 5: 'R3D',
    ('(2+1)D',) * 5: 'R(2+1)D',
    ('2D',) * 5: 'f-R2D',
    **{('3D',) * (x - 1) + ('2D',) * (6 - x): f'MC{x}' for x in range(2, 6)},
    **{('2D',) * (x - 1) + ('3D',) * (6 - x): f'rMC{x}' for x in range(2, 6)},
}
"""The paper's networks by the forms of conv1 to conv5_x; R2D is any other."""


def infer_network(state_dict: StateDict, source: str) -> dict[str, Any]:
    """Infer a network from the shapes of its weights, of any public format (:func:`identify`).

    Returns:
        dict[str, Any]: ``network`` as the paper calls it, and the arguments that shape it, where it
        has them: ``clip_len``, ``midplanes``, ``base_channels``, ``in_channels``, ``num_classes``.
        Empty if it is no network of this family.
    """
    weights = identify(state_dict, source)
    tensors = weights.tensors if weights else {}
    factorized = 'stem.3.weight' in tensors
    try:
        groups = [conv_form(f'layer{i}.0.conv1.0', tensors) for i in range(1, 5)]
        forms = ('(2+1)D' if factorized else conv_form('stem.0', tensors), *groups)
        depth = 2 * sum(key.endswith('.conv1.1.weight') for key in tensors) + 2
        network: dict[str, Any] = dict(network=f'{NETWORKS.get(forms, "R2D")}-{depth}')
        if forms not in NETWORKS:
            network['clip_len'] = tensors['stem.0.weight'].shape[2]
        elif groups[0] == '(2+1)D':
            mids = {len(tensors[f'layer2.0.conv{i}.0.0.weight']) for i in (1, 2)}
            network['midplanes'] = 'block' if len(mids) == 1 else 'layer'
        network['base_channels'] = len(tensors[f'stem.{3 if factorized else 0}.weight'])
        network['in_channels'] = tensors['stem.0.weight'].shape[1]
        if 'fc.weight' in tensors:
            network['num_classes'] = len(tensors['fc.weight'])
    except (KeyError, IndexError, TypeError):  # a tensor is missing or has too few dimensions
        return {}
    return network


def conv_form(path: str, tensors: StateDict) -> str:
    """Form of the convolution at a path: 2D, 3D or (2+1)D."""
    if f'{path}.0.weight' in tensors:
        return '(2+1)D'
    return {1: '2D', 3: '3D'}.get(tensors[f'{path}.weight'].shape[2], 'other')


def format_network(network: Mapping[str, Any]) -> str:
    """Format a network of :func:`infer_network`, such as ``R3D-18 (in_channels=3)``."""
    arguments = ', '.join(f'{k}={v!r}' for k, v in network.items() if k != 'network')
    return f'{network.get("network", "an altered network")} ({arguments})'

"""What published weights are, told by the names and shapes of tensors: format and network.

Every format is converted to one: torchvision's names, which are those of our backbones
(``stem.0.weight``, ``layer1.0.conv1.0.weight``, ...), with ``fc`` for the classifier.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from types import MappingProxyType
from typing import Any, Callable, Mapping, NamedTuple

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


MARKERS = {
    'stem.0.weight': 'torchvision',
    'blocks.0.0.weight': 'PyTorchVideo',
    'base_network.0.0.weight': 'Sequential',
    'layer1.0.conv2.conv1.weight': 'GluonCV',
    'conv1_w': 'Caffe2',
}
"""Forms in which networks of this family are published, by the name of a tensor."""

OTHERS = {
    r'\.conv\.conv_s\.': "MMAction2's ResNet2Plus1d, which is not the paper's network (83 mid "
    'channels in conv1, a max-pool after it, factorised shortcuts)',
    r'\bconv1\.conv\.weight$': 'a ResNet of MMAction2, which is no network of this family',
    r'\bconv2x\.0\.spt_conv1\.': "AVID-CMA's R(2+1)D, which is not the paper's network (a 3D "
    'conv1, a max-pool after it, as many mid channels as outputs)',
    r'\.block1\.conv1\.spatial_conv\.': "VCOP's R(2+1)D, as RSPNet has it, which is not the "
    "paper's network (83 mid channels in conv1, factorised shortcuts)",
    r'\bblocks\.1\.res_blocks\.': "a ResNet of PyTorchVideo's own, which is no network of this "
    'family',
}
"""Other networks with similar names or titles, by what the names of their tensors match."""


def unwrap(state_dict: StateDict) -> StateDict:
    """Undo the names that ``torch.compile`` and ``DataParallel`` give to tensors."""
    compiled = any('_orig_mod.' in key for key in state_dict)
    prefix = 'module.' if all(key.startswith('module.') for key in state_dict) else ''
    if not compiled and not prefix:
        return state_dict
    names = {key: key[len(prefix) :].replace('_orig_mod.', '') for key in state_dict}
    unwrapped: Any = OrderedDict((names[key], value) for key, value in state_dict.items())
    unwrapped._metadata = {
        path.replace('_orig_mod.', '')[len(prefix) :]: entry
        for path, entry in (getattr(state_dict, '_metadata', None) or {}).items()
    }
    return unwrapped


def find_networks(state_dict: StateDict) -> dict[str, str]:
    """Prefixes under which a state dict has networks of this family, and the form of each.

    Of a contrast of two encoders only the trained one counts, not its moving average.
    """
    found = {}
    for key in state_dict:
        for marker, form in MARKERS.items():
            if key == marker or key.endswith(f'.{marker}'):
                found[key[: -len(marker)]] = form
    averages = {prefix for prefix in found if 'encoder_k.' in prefix}
    return {k: form for k, form in found.items() if k not in averages or len(found) == 1}


def find_other(state_dict: StateDict) -> str | None:
    """What :data:`OTHERS` says of a state dict, if anything."""
    return next((o for p, o in OTHERS.items() if any(re.search(p, k) for k in state_dict)), None)


def identify(state_dict: StateDict, source: str) -> Weights | None:
    """Identify the format of weights by their names, and convert them to torchvision's.

    The network may be a part of a model: its names may have any prefix, such as ``module.`` or
    ``video_network.base.``.

    Returns None if they are not those of one network of this family.

    Raises:
        InputError: If they are of another network that is known, or of several.
    """
    state_dict = unwrap(state_dict)
    networks = find_networks(state_dict)
    if not networks:
        if other := find_other(state_dict):
            remedy = 'use them with the code that they are from'
            raise InputError(f'{source}: weights of {other}: {remedy}')
        return None
    if len(networks) > 1:
        if any(prefix.endswith(('rgb.', 'flow.')) for prefix in networks):
            return None
        names = ', '.join(prefix or 'no prefix' for prefix in sorted(networks))
        raise InputError(f'{source}: weights of several networks ({names}): save those of one')
    ((prefix, form),) = networks.items()
    own, others = take_network(state_dict, prefix)
    metadata = (getattr(state_dict, '_metadata', None) or {}).values()  # as VideoResNet writes it
    noted = next((entry['norm_eps'] for entry in metadata if 'norm_eps' in entry), None)
    tensors = CONVERSIONS[form](own)
    in_recognizer = prefix == 'backbone.' and any(key.startswith('cls_head.') for key in state_dict)
    if form == 'torchvision' and (noted is not None or in_recognizer):
        title, eps = f'a {"checkpoint" if prefix else "state dict"} of r21d_plugin', noted
    else:
        title, eps = published_as(form, tensors)
        eps = eps if noted is None else noted
        title += f' under {prefix[:-1]!r}' if prefix else ''
    if prefix == 'backbone.':
        return Weights(title, tensors, eps, others)
    if others:
        parts = sorted({key.partition('.')[0] for key in others})
        title += f', without {", ".join(parts[:4])}{", ..." if parts[4:] else ""}'
    return Weights(title, tensors, eps)


def take_network(state_dict: StateDict, prefix: str) -> tuple[dict[str, Tensor], StateDict]:
    """Divide a state dict into a network, without its prefix, and the rest.

    A linear classifier is the network's ``fc``, wherever it stands; one that follows an encoder
    trained by contrast is a projection, which belongs to the rest.
    """
    own = {key[len(prefix) :]: v for key, v in state_dict.items() if key.startswith(prefix)}
    rest = {key: v for key, v in state_dict.items() if not key.startswith(prefix)}
    if 'encoder_q.' in prefix or 'fc.weight' not in own:
        for key in [key for key in own if key.startswith('fc.')]:
            rest[f'{prefix}{key}'] = own.pop(key)
    path = prefix
    while path:
        path = re.sub(r'[^.]*\.$', '', path)  # of what contains the network
        for head in (f'{path}fc.', f'{path}cls_head.fc_cls.'):
            if f'{head}weight' in rest and 'fc.weight' not in own:
                own['fc.weight'] = rest.pop(f'{head}weight')
                if f'{head}bias' in rest:
                    own['fc.bias'] = rest.pop(f'{head}bias')
    return own, rest


def published_as(form: str, tensors: StateDict) -> tuple[str, float | None]:
    """Say what weights of a form are, and with which epsilon of batch norm they are published."""
    if form == 'Caffe2':
        return "a Caffe2 pickle of VMZ, the authors' release", EPS
    if form == 'PyTorchVideo':
        return 'weights of a PyTorchVideo Net', None
    if form == 'GluonCV':
        return 'weights of GluonCV', TORCHVISION_EPS
    return "weights by torchvision's names", published_eps(tensors)


def published_eps(tensors: StateDict) -> float:
    """Epsilon of batch norm with which such weights are published for PyTorch.

    It is the authors' with 34 layers and more, and with the mid channels of the paper, which
    torchvision's networks do not have.
    """
    deep = any(key.startswith('layer1.2.') for key in tensors)
    return EPS if deep or infer_network(tensors).get('midplanes') == 'layer' else TORCHVISION_EPS


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
    parts = dict(conv='0', spatbn='1', conv_middle='0.0', spatbn_middle='0.1')
    projections = (re.fullmatch(r'shortcut_projection_(\d{1,3})_w', blob) for blob in blobs)
    # First blocks of conv2_x to conv5_x; those of the latter three have a projection.
    firsts = sorted({0, *(int(match[1]) for match in projections if match)})

    def block_path(block: str) -> str:
        group = max(i for i, first in enumerate(firsts) if first <= int(block))
        return f'layer{group + 1}.{int(block) - firsts[group]}'

    def module_path(module: str) -> str | None:
        if match := re.fullmatch(r'conv1(_middle)?(_spatbn_relu)?', module):
            return f'stem.{3 * (factorized and not match[1]) + bool(match[2])}'
        if match := re.fullmatch(r'comp_(\d{1,3})_(conv|spatbn)_(\d)(_middle|)', module):
            part = parts[match[2] + match[4]]
            if part == '0' and f'{module}_middle_w' in blobs:  # the temporal half
                part = '0.3'
            return f'{block_path(match[1])}.conv{match[3]}.{part}'
        if match := re.fullmatch(r'shortcut_projection_(\d{1,3})(_spatbn)?', module):
            return f'{block_path(match[1])}.downsample.{int(bool(match[2]))}'
        return 'fc' if re.fullmatch(r'last_out_L\d+', module) else None

    renamed = {}
    for blob, value in blobs.items():
        module, _, suffix = blob.rpartition('_')
        path, tensor = module_path(module), tensors.get(suffix)
        renamed[f'{path}.{tensor}' if path and tensor else blob] = value
    return renamed


def rename_gluoncv(tensors: StateDict) -> dict[str, Tensor]:
    """Rename the tensors of GluonCV's R(2+1)D of any depth."""
    parts = dict(conv1='0', bn1='1', conv2='3', bn2='4')
    renamed = {}
    for key, value in tensors.items():
        path, _, name = key.rpartition('.')
        if path in parts:
            path = f'stem.{parts[path]}'
        elif match := re.fullmatch(r'(layer\d\.\d+)\.(?:conv(\d)(?:\.(\w+))?|bn(\d))', path):
            block, conv, part, norm = match.groups()
            inner = f'0.{parts[part]}' if part in parts else '0'
            path = f'{block}.conv{norm}.1' if norm else f'{block}.conv{conv}.{inner}'
        renamed[f'{path}.{name}'] = value
    return renamed


SEQUENTIAL = {'base_network.0.': 'stem.'}
SEQUENTIAL.update({f'base_network.{i}.': f'layer{i}.' for i in range(1, 5)})

CONVERSIONS: dict[str, Callable[[StateDict], dict[str, Tensor]]] = {
    'torchvision': dict,
    'PyTorchVideo': lambda tensors: replace_prefixes(tensors, FROM_NET),
    'Sequential': lambda tensors: replace_prefixes(tensors, SEQUENTIAL),
    'GluonCV': rename_gluoncv,
    'Caffe2': rename_caffe2,
}
"""What gives the tensors of a form torchvision's names."""


NETWORKS = {
    ('3D',) * 5: 'R3D',
    ('(2+1)D',) * 5: 'R(2+1)D',
    ('2D',) * 5: 'f-R2D',
    **{('3D',) * (x - 1) + ('2D',) * (6 - x): f'MC{x}' for x in range(2, 6)},
    **{('2D',) * (x - 1) + ('3D',) * (6 - x): f'rMC{x}' for x in range(2, 6)},
}
"""The paper's networks by the forms of conv1 to conv5_x; R2D is any other."""


def infer_network(tensors: StateDict) -> dict[str, Any]:
    """Infer a network from the shapes of its weights, by torchvision's names (:func:`identify`).

    Returns:
        dict[str, Any]: ``network`` as the paper calls it, and the arguments that shape it, where it
        has them: ``clip_len``, ``midplanes``, ``base_channels``, ``in_channels``, ``num_classes``.
        Empty if it is no network of this family.
    """
    factorized = 'stem.3.weight' in tensors
    bottlenecks = 'layer1.0.conv3.0.weight' in tensors
    try:
        conv = f'conv{2 if bottlenecks else 1}.0'
        groups = tuple(conv_form(f'layer{i}.0.{conv}', tensors) for i in range(1, 5))
        forms = ('(2+1)D' if factorized else conv_form('stem.0', tensors), *groups)
        if forms not in NETWORKS and set(groups) != {'2D'}:
            return {}
        blocks = sum(key.endswith('.conv1.1.weight') for key in tensors)
        depth = (3 if bottlenecks else 2) * blocks + 2
        network: dict[str, Any] = dict(network=f'{NETWORKS.get(forms, "R2D")}-{depth}')
        if forms not in NETWORKS:
            network['clip_len'] = tensors['stem.0.weight'].shape[2]
        elif groups[0] == '(2+1)D':
            other = 'layer2.1.conv2' if bottlenecks else 'layer2.0.conv1'
            mids = {len(tensors[f'{path}.0.0.weight']) for path in ('layer2.0.conv2', other)}
            network['midplanes'] = 'layer' if (len(mids) == 1) == bottlenecks else 'block'
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

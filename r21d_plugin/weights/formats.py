"""Infer the format and network of published weights from names and shapes of tensors.

Every format is converted to torchvision's names, which are also those of our backbones
(``stem.0.weight``, ``layer1.0.conv1.0.weight``, ...), with ``fc`` for the classifier.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Callable, Iterable, Mapping, NamedTuple, TypeVar

from torch import Tensor

from .._errors import InputError

StateDict = Mapping[str, Tensor]
T = TypeVar('T')  # tensors, or values that represent them

EPS, TORCHVISION_EPS = 1e-3, 1e-5
"""Epsilon of batch norm in VMZ and ig65m-pytorch (34 layers), and in torchvision (18 layers)."""

NET_NAMES = {f'layer{i}.': f'blocks.{i}.' for i in range(1, 5)}
NET_NAMES.update({'stem.': 'blocks.0.', 'fc.': 'blocks.5.proj.'})
FROM_NET = {net: torchvision for torchvision, net in NET_NAMES.items()}
"""Map from torchvision's prefixes of names to those of a PyTorchVideo ``Net``, and its inverse."""


class Weights(NamedTuple):
    """Weights of a network, read from any format."""

    format: str  # for messages
    tensors: dict[str, Tensor]  # tensors with torchvision's names
    eps: float | None = None  # epsilon of batch norm in training, if known or inferred
    reason: str = ''  # why this epsilon was inferred, if it was
    others: StateDict = MappingProxyType({})  # tensors of a neck or another head, original names
    classes: tuple[str, ...] = ()  # names of the classes, if the file has them


OTHERS = {
    r'\.conv\.conv_s\.': "MMAction2's ResNet2Plus1d, which is not the paper's network (83 mid "
    'channels in conv1, a max-pool after it, factorised shortcuts)',
    r'\bconv1\.conv\.weight$': 'a ResNet of MMAction2, which is no network of this family',
    r'\bconv2x\.0\.spt_conv1\.': "AVID-CMA's R(2+1)D, which is not the paper's network (a 3D "
    'conv1, a max-pool after it, as many mid channels as outputs)',
    r'\.block1\.conv1\.spatial_conv\.': "VCOP's R(2+1)D, also in RSPNet, which is not the "
    "paper's network (83 mid channels in conv1, factorised shortcuts)",
    r'\bblocks\.1\.res_blocks\.': "a ResNet of PyTorchVideo's own, which is no network of this "
    'family',
}
"""Descriptions of other networks with similar names, by patterns of their tensor names."""


def unwrapped(names: Iterable[str]) -> dict[str, str]:
    """Map names without the prefixes of ``torch.compile`` and ``DataParallel`` to full names."""
    plain = {name.replace('_orig_mod.', ''): name for name in names}
    if not all(name.startswith('module.') for name in plain):
        return plain
    return {name[len('module.') :]: wrapped for name, wrapped in plain.items()}


def find_networks(names: Iterable[str]) -> dict[str, str]:
    """Find the prefixes of networks of this family; map each to the name that identifies it.

    For contrastive training with two encoders, the moving average is ignored.
    """
    found = {}
    for name in names:
        for marker in FORMS:
            if name == marker or name.endswith(f'.{marker}'):
                found[name[: -len(marker)]] = marker
    averages = {prefix for prefix in found if 'encoder_k.' in prefix}
    return {k: marker for k, marker in found.items() if k not in averages or len(found) == 1}


def find_other(names: Iterable[str]) -> str | None:
    """Return the description in :data:`OTHERS` that matches names of tensors, if any."""
    names = list(names)
    return next((o for p, o in OTHERS.items() if any(re.search(p, name) for name in names)), None)


def identify(state_dict: StateDict, source: str) -> Weights:
    """Identify the format of weights by their names, and convert them to torchvision's.

    The network may be part of a model: its names may have any prefix, such as ``module.`` or
    ``video_network.base.``. Raises an InputError unless there is exactly one network of this
    family.
    """
    plain = {name: state_dict[wrapped] for name, wrapped in unwrapped(state_dict).items()}
    networks = find_networks(plain)
    if not networks:
        other = find_other(plain)
        reason = f'{other}: use them with their original code'
        if other is None:
            reason = 'another network: no tensor name belongs to this family'
        raise InputError(f'{source}: weights of {reason}')
    if len(networks) > 1:
        names = ', '.join(prefix or 'no prefix' for prefix in sorted(networks))
        raise InputError(f'{source}: weights of several networks ({names}): save those of one')
    ((prefix, marker),) = networks.items()
    form = FORMS[marker]
    own, rest = take_network(plain, prefix)
    tensors = form.convert(own)
    others = beside_backbone(rest, prefix)
    eps = next(iter(noted_eps(state_dict).values()), form.eps)
    reason = ''
    recognizer = prefix.endswith('backbone.') and any('cls_head.' in name for name in plain)
    title = form.title + (f' under {prefix[:-1]!r}' if prefix else '')
    if marker == 'stem.0.weight' and (eps is not None or recognizer):
        title = f'a {"checkpoint" if prefix else "state dict"} of r21d_plugin'
    elif eps is None and not marker.startswith('blocks.'):  # only our checkpoints have these names
        eps, reason = infer_eps(tensors)
    if rest and not others:
        parts = sorted({key.partition('.')[0] for key in rest})
        title += f', beside {", ".join(parts[:4])}{", ..." if parts[4:] else ""}'
    return Weights(title, tensors, eps, reason, others)


def noted_eps(state_dict: StateDict) -> dict[str, float]:
    """Return the epsilon of batch norm that our networks stored, by prefix of a network."""
    metadata = getattr(state_dict, '_metadata', None) or {}
    noted = {f'{k}.' if k else '': v['norm_eps'] for k, v in metadata.items() if 'norm_eps' in v}
    return {plain: noted[prefix] for plain, prefix in unwrapped(noted).items()}


def take_network(state_dict: Mapping[str, T], prefix: str) -> tuple[dict[str, T], dict[str, T]]:
    """Split a state dict into a network, without its prefix, and the rest.

    A linear classifier becomes the network's ``fc``, whatever its path. A linear layer after a
    contrastively trained encoder is a projection, which belongs to the rest.
    """
    own = {key[len(prefix) :]: v for key, v in state_dict.items() if key.startswith(prefix)}
    rest = {key: v for key, v in state_dict.items() if not key.startswith(prefix)}
    if 'encoder_q.' in prefix or 'fc.weight' not in own:
        for key in [key for key in own if key.startswith('fc.')]:
            rest[f'{prefix}{key}'] = own.pop(key)
    path = prefix
    while path:
        path = re.sub(r'[^.]*\.$', '', path)  # path of the parent module
        for head in (f'{path}fc.', f'{path}cls_head.fc_cls.'):
            if f'{head}weight' in rest and 'fc.weight' not in own:
                own['fc.weight'] = rest.pop(f'{head}weight')
                if f'{head}bias' in rest:
                    own['fc.bias'] = rest.pop(f'{head}bias')
    return own, rest


def beside_backbone(rest: Mapping[str, T], prefix: str) -> dict[str, T]:
    """Return a recognizer's tensors outside its backbone, by name; empty for other models."""
    root = prefix[: -len('backbone.')]
    if f'{root}backbone.' != prefix:
        return {}
    return {key[len(root) :]: value for key, value in rest.items() if key.startswith(root)}


def infer_eps(tensors: StateDict) -> tuple[float, str]:
    """Infer the epsilon of batch norm of weights that do not state it, and give the reason.

    Networks with the paper's mid channels come from the authors' code and its ports, all of which
    set 0.001. torchvision's networks use PyTorch's default.
    """
    if infer_network(tensors).get('midplanes') == 'layer':
        return EPS, "mid channels are the paper's, as in the authors' release and its ports"
    return TORCHVISION_EPS, "PyTorch's default, which torchvision's networks have"


def replace_prefixes(tensors: Mapping[str, T], prefixes: Mapping[str, str]) -> dict[str, T]:
    """Rename tensors: replace the first prefix that matches a name."""
    return substitute(tensors, {f'^{re.escape(old)}': new for old, new in prefixes.items()})


def rename_caffe2(blobs: Mapping[str, T]) -> dict[str, T]:
    """Rename VMZ's blobs to torchvision's names; an unknown blob keeps its name.

    VMZ numbers the blocks from conv2_x to conv5_x, and calls spatial convolutions 'middle'.
    """
    # riv is the running variance, not its inverse.
    tensors = dict(w='weight', s='weight', b='bias', rm='running_mean', riv='running_var')
    factorized = 'conv1_middle_w' in blobs
    parts = dict(conv='0', spatbn='1', conv_middle='0.0', spatbn_middle='0.1')
    projections = (re.fullmatch(r'shortcut_projection_(\d{1,3})_w', blob) for blob in blobs)
    # First blocks of conv2_x to conv5_x; those of conv3_x to conv5_x have a projection.
    firsts = sorted({0, *(int(match[1]) for match in projections if match)})

    def block_path(block: str) -> str:
        group = max(i for i, first in enumerate(firsts) if first <= int(block))
        return f'layer{group + 1}.{int(block) - firsts[group]}'

    def module_path(module: str) -> str | None:
        if match := re.fullmatch(r'conv1(_middle)?(_spatbn_relu)?', module):
            return f'stem.{3 * (factorized and not match[1]) + bool(match[2])}'
        if match := re.fullmatch(r'comp_(\d{1,3})_(conv|spatbn)_(\d)(_middle|)', module):
            part = parts[match[2] + match[4]]
            if part == '0' and f'{module}_middle_w' in blobs:  # temporal convolution
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


GLUONCV = {
    r'^conv1\.': 'stem.0.',
    r'^bn1\.': 'stem.1.',
    r'^conv2\.': 'stem.3.',
    r'^bn2\.': 'stem.4.',
    r'(conv\d)\.conv1\.': r'\1.0.0.',
    r'(conv\d)\.bn1\.': r'\1.0.1.',
    r'(conv\d)\.conv2\.': r'\1.0.3.',
    r'(conv\d)\.': r'\1.0.',
    r'bn(\d)\.': r'conv\1.1.',
}
"""torchvision's names for tensors that GluonCV's R(2+1)D of any depth names differently."""

GLUONCV_OF_VMZ = {
    r'^conv1_middle\.': 'stem.0.',
    r'^bn1_middle\.': 'stem.1.',
    r'^conv1\.': 'stem.3.',
    r'^bn1\.': 'stem.4.',
    r'(conv\d)_middle\.': r'\1.0.0.',
    r'bn(\d)_middle\.': r'conv\1.0.1.',
    r'conv2\.': 'conv2.0.3.',
    r'(conv\d)\.': r'\1.0.',
    r'bn(\d)\.': r'conv\1.1.',
    r'down_sample\.': 'downsample.',
    r'^out_fc\.': 'fc.',
}
"""The same for GluonCV's R(2+1)D-152, whose weights are VMZ's."""


def substitute(tensors: Mapping[str, T], patterns: Mapping[str, str]) -> dict[str, T]:
    """Rename tensors: replace the first pattern that matches a name."""
    renamed = {}
    for key, value in tensors.items():
        pattern = next((each for each in patterns if re.search(each, key)), '^')
        renamed[re.sub(pattern, patterns.get(pattern, ''), key, count=1)] = value
    return renamed


class Form(NamedTuple):
    """A format in which networks of this family are published."""

    title: str  # for messages
    convert: Callable[[Mapping[str, T]], dict[str, T]]  # renames tensors to torchvision's names
    eps: float | None = None  # epsilon of batch norm, if it is the same in all such weights


SEQUENTIAL = {'base_network.0.': 'stem.'}
SEQUENTIAL.update({f'base_network.{i}.': f'layer{i}.' for i in range(1, 5)})

FORMS = {
    'stem.0.weight': Form("weights by torchvision's names", dict),
    'blocks.0.0.weight': Form(
        'weights of a PyTorchVideo Net', lambda tensors: replace_prefixes(tensors, FROM_NET)
    ),
    'base_network.0.0.weight': Form(
        "weights by torchvision's names", lambda tensors: replace_prefixes(tensors, SEQUENTIAL)
    ),
    'layer1.0.conv2.conv1.weight': Form(
        'weights of GluonCV', lambda tensors: substitute(tensors, GLUONCV), TORCHVISION_EPS
    ),
    'conv1_middle.weight': Form(
        "VMZ's weights from GluonCV", lambda tensors: substitute(tensors, GLUONCV_OF_VMZ), EPS
    ),
    'conv1_w': Form("a Caffe2 pickle of VMZ, the authors' release", rename_caffe2, EPS),
}
"""Formats by the name of a tensor that identifies them."""

NETWORKS = {
    ('3D',) * 5: 'R3D',
    ('(2+1)D',) * 5: 'R(2+1)D',
    ('2D',) * 5: 'f-R2D',
    **{('3D',) * (x - 1) + ('2D',) * (6 - x): f'MC{x}' for x in range(2, 6)},
    **{('2D',) * (x - 1) + ('3D',) * (6 - x): f'rMC{x}' for x in range(2, 6)},
}
"""The paper's networks by the forms of conv1 to conv5_x; any other combination is R2D."""


def infer_network(tensors: StateDict) -> dict[str, Any]:
    """Infer a network from the shapes of tensors with torchvision's names (:func:`identify`).

    Returns:
        dict[str, Any]: ``network``, its name in the paper, and the arguments that apply to it:
        ``clip_len``, ``midplanes``, ``base_channels``, ``in_channels``, ``num_classes``. Empty if
        it is not a network of this family.
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
    """Return the form of the convolution at a path: 2D, 3D or (2+1)D."""
    if f'{path}.0.weight' in tensors:
        return '(2+1)D'
    return {1: '2D', 3: '3D'}.get(tensors[f'{path}.weight'].shape[2], 'other')


def format_network(network: Mapping[str, Any]) -> str:
    """Format a network of :func:`infer_network`, such as ``R3D-18 (in_channels=3)``."""
    arguments = ', '.join(f'{k}={v!r}' for k, v in network.items() if k != 'network')
    return f'{network.get("network", "an altered network")} ({arguments})'

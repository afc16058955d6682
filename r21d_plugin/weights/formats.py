"""The formats in which weights of these networks are published, told apart by tensor names.

Every format is converted to one: torchvision's names, which are those of our backbones
(``stem.0.weight``, ``layer1.0.conv1.0.weight``, ...), with ``fc`` for the classifier.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from .._errors import InputError

StateDict = Mapping[str, Tensor]

EPS = 1e-3
"""Epsilon of batch norm in VMZ and ig65m-pytorch (34 layers)."""

TORCHVISION_EPS = 1e-5
"""Epsilon of batch norm in torchvision (18 layers)."""


class Weights(NamedTuple):
    """Weights of a network, read from any format.

    Attributes:
        format (str): The format, for messages.
        tensors (dict[str, Tensor]): Tensors by torchvision's names.
        eps (float, optional): Epsilon of batch norm in training. None: not known, so that of the
            network which they are loaded into.
    """

    format: str
    tensors: dict[str, Tensor]
    eps: float | None = None


def identify(state_dict: StateDict, source: str) -> Weights | None:
    """Identify the format of weights by their names, and convert them to torchvision's.

    Args:
        state_dict (Mapping[str, Tensor]): Tensors by name.
        source (str): File or address, for messages.

    Returns:
        Weights, optional: None if they are not those of one network of this family.

    Raises:
        InputError: If they are of MMAction2's 3D ResNets, other networks with similar names.
    """
    for marker, read in READERS.items():
        if marker in state_dict:
            return read(state_dict)
    if any('.conv_s.' in key for key in state_dict):
        raise InputError(
            f"{source}: weights of MMAction2's ResNet2Plus1d, which is not the paper's network (83 "
            'mid channels in conv1, a max-pool after it, factorised shortcuts): test them with '
            "MMAction2's own config"
        )
    if 'backbone.conv1.conv.weight' in state_dict:
        raise InputError(
            f'{source}: weights of a ResNet of MMAction2, which is no network of this family: test '
            'them with its own config'
        )
    return None


def convert_state_dict(
    state_dict: StateDict, model: nn.Module, source: str
) -> tuple[StateDict, Weights | None]:
    """Convert weights of any format to the names of a network.

    Args:
        state_dict (Mapping[str, Tensor]): The weights.
        model (nn.Module): A backbone, or a network with its classifier.
        source (str): File or address, for messages.

    Returns:
        tuple[Mapping[str, Tensor], Weights or None]: The weights by the network's names, and as
        :func:`identify` gives them. Unchanged, and None, if the format is unknown or the network
        is not of this family.

    Raises:
        InputError: See :func:`identify`.
    """
    if not model.state_dict().keys() & {'stem.0.weight', 'backbone.stem.0.weight'}:
        return state_dict, None
    weights = identify(state_dict, source)
    return (rename_keys(weights.tensors, model), weights) if weights else (state_dict, None)


def rename_keys(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Rename tensors from torchvision's names to a network's; a backbone gets no classifier."""
    own = model.state_dict().keys()
    backbone = 'backbone.' if 'backbone.stem.0.weight' in own else ''
    classifier = next((p for p in ('cls_head.fc_cls.', 'fc.') if f'{p}weight' in own), None)
    return add_prefixes(tensors, backbone, classifier)


def add_prefixes(
    tensors: Mapping[str, Tensor], backbone: str, classifier: str | None
) -> dict[str, Tensor]:
    """Prefix the names of a backbone; ``classifier`` replaces ``fc.``, None leaves it out."""
    named = {backbone + k: v for k, v in tensors.items() if not k.startswith('fc.')}
    if classifier is not None:
        named |= {classifier + k[3:]: v for k, v in tensors.items() if k.startswith('fc.')}
    return named


def read_recognizer(state_dict: StateDict) -> Weights:
    """Read weights of a recognizer, as training writes them."""
    tensors = {
        key.removeprefix('backbone.').replace('cls_head.fc_cls.', 'fc.'): value
        for key, value in state_dict.items()
    }
    return Weights('a checkpoint of r21d_plugin', tensors, noted_eps(state_dict))


def read_torchvision(state_dict: StateDict) -> Weights:
    """Read weights of torchvision, ig65m-pytorch, ``create_model`` or a backbone."""
    tensors = dict(state_dict)
    if (noted := noted_eps(state_dict)) is not None:
        return Weights('a state dict of r21d_plugin', tensors, noted)
    if 'fc.weight' not in tensors:
        return Weights('weights of a backbone', tensors)
    eps = published_eps(tensors)
    return Weights(f'weights of {"ig65m-pytorch" if eps == EPS else "torchvision"}', tensors, eps)


def read_net(state_dict: StateDict) -> Weights:
    """Read weights of a PyTorchVideo ``Net`` of :mod:`r21d_plugin.pytorchvideo`."""
    tensors = {from_net(key): value for key, value in state_dict.items()}
    return Weights('weights of a PyTorchVideo Net', tensors, noted_eps(state_dict))


def read_caffe2(state_dict: StateDict) -> Weights:
    """Read blobs of VMZ, the authors' release."""
    names = caffe2_names(state_dict)
    tensors = {names[blob]: value for blob, value in state_dict.items()}
    return Weights("a Caffe2 pickle of VMZ, the authors' release", tensors, EPS)


READERS: dict[str, Callable[[StateDict], Weights]] = {
    'backbone.stem.0.weight': read_recognizer,
    'stem.0.weight': read_torchvision,
    'blocks.0.0.weight': read_net,
    'conv1_w': read_caffe2,
}
"""Reader of each format, by the name of a tensor that identifies it."""


def noted_eps(state_dict: StateDict) -> float | None:
    """Epsilon of batch norm in a state dict's metadata, where VideoResNet writes it."""
    entries = (getattr(state_dict, '_metadata', None) or {}).values()
    return next((entry['norm_eps'] for entry in entries if 'norm_eps' in entry), None)


def published_eps(tensors: StateDict) -> float:
    """Epsilon of batch norm with which weights of this depth are published for PyTorch."""
    return EPS if any(key.startswith('layer1.2.') for key in tensors) else TORCHVISION_EPS


NET_NAMES = {
    'stem.': 'blocks.0.',
    **{f'layer{i}.': f'blocks.{i}.' for i in range(1, 5)},
    'fc.': 'blocks.5.proj.',
}
"""Prefixes of tensor names in a PyTorchVideo ``Net``, by torchvision's."""


def to_net(key: str) -> str:
    """Convert torchvision's name of a tensor (``fc.bias``) to that in a ``Net``.

    Names with none of the prefixes stay the same.
    """
    return replace_prefix(key, NET_NAMES)


def from_net(key: str) -> str:
    """Convert a name in a ``Net`` to torchvision's: the inverse of :func:`to_net`."""
    return replace_prefix(key, {net: own for own, net in NET_NAMES.items()})


def replace_prefix(key: str, prefixes: Mapping[str, str]) -> str:
    """Replace the listed prefix of a name."""
    for old, new in prefixes.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


CAFFE2_TENSORS = dict(w='weight', s='weight', b='bias', rm='running_mean', riv='running_var')
"""Suffixes of VMZ's blobs; ``riv`` is the running variance, not its inverse."""


def caffe2_names(blobs: Iterable[str]) -> dict[str, str]:
    """Convert VMZ's names to torchvision's, as VMZ's model builder assigns them.

    Args:
        blobs (Iterable[str]): All blobs of a network. Its blocks are numbered from conv2_x to
            conv5_x, and R(2+1)D's spatial convolutions are called 'middle'.

    Returns:
        dict[str, str]: torchvision's name by blob; an unknown blob keeps its own.
    """
    blobs = list(blobs)
    factorized = 'conv1_middle_w' in blobs
    projections = (re.fullmatch(r'shortcut_projection_(\d+)_w', blob) for blob in blobs)
    # First blocks of conv2_x to conv5_x; those of the latter three have a projection.
    firsts = [0, *sorted(int(match[1]) for match in projections if match)]

    def block_path(block: str) -> str:
        group = max(i for i, first in enumerate(firsts) if first <= int(block))
        return f'layer{group + 1}.{int(block) - firsts[group]}'

    def module_path(module: str) -> str | None:
        if match := re.fullmatch(r'conv1(_middle)?(_spatbn_relu)?', module):
            first = 3 if factorized and not match[1] else 0
            return f'stem.{first + bool(match[2])}'
        if match := re.fullmatch(r'comp_(\d+)_(conv|spatbn)_(\d)(_middle)?', module):
            block, kind, conv, middle = match.groups()
            names = dict(conv='0.0', spatbn='0.1') if middle else dict(conv='0', spatbn='1')
            name = '0.3' if factorized and kind == 'conv' and not middle else names[kind]
            return f'{block_path(block)}.conv{conv}.{name}'
        if match := re.fullmatch(r'shortcut_projection_(\d+)(_spatbn)?', module):
            return f'{block_path(match[1])}.downsample.{int(bool(match[2]))}'
        return 'fc' if re.fullmatch(r'last_out_L\d+', module) else None

    def name(blob: str) -> str:
        module, _, suffix = blob.rpartition('_')
        path = module_path(module)
        return f'{path}.{CAFFE2_TENSORS[suffix]}' if path and suffix in CAFFE2_TENSORS else blob

    return {blob: name(blob) for blob in blobs}

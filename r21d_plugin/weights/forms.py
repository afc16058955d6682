"""The forms in which weights of these networks are published, told by the names of their tensors.

Every form is turned into one: torchvision's names, which are those of our
backbones (``stem.0.weight``, ``layer1.0.conv1.0.weight``, ...), with ``fc`` for
the classifier.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from .._errors import InputError
from . import caffe2
from .net_names import from_net

StateDict = Mapping[str, Tensor]

EPS = 1e-3
"""Epsilon of the authors' batch norm, and of ig65m-pytorch, which publishes 34 layers."""

TORCHVISION_EPS = 1e-5
"""Epsilon of torchvision's batch norm, which publishes 18 layers."""


class Weights(NamedTuple):
    """Weights of a network, whatever form they came in.

    Attributes:
        form (str): The form, in words.
        tensors (dict[str, Tensor]): Tensors by torchvision's names.
        eps (float, optional): Epsilon that batch norm had in training. None:
            that of the network they are for.
    """

    form: str
    tensors: dict[str, Tensor]
    eps: float | None = None


def recognise(state_dict: StateDict, source: str) -> Weights | None:
    """Tell the form of weights by the names of their tensors.

    Args:
        state_dict (Mapping[str, Tensor]): Tensors by name.
        source (str): Where they come from, for the message.

    Returns:
        Weights, optional: None if they are none of a single network of this
        family.

    Raises:
        InputError: If they are of MMAction2's 3D ResNets, whose names look
            alike and which are other networks.
    """
    for marker, read in FORMS.items():
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


def translated(
    state_dict: StateDict, model: nn.Module, source: str
) -> tuple[StateDict, Weights | None]:
    """Weights by the names that their tensors have in a network.

    Args:
        state_dict (Mapping[str, Tensor]): Weights of any form.
        model (nn.Module): The network: a backbone, or one with its classifier.
        source (str): Where they come from, for the message.

    Returns:
        tuple[Mapping[str, Tensor], Weights or None]: The weights, and what
        they are. They are unchanged, and None comes with them, if their form
        is not known or the network not of this family.

    Raises:
        InputError: See :func:`recognise`.
    """
    own = model.state_dict().keys()
    if not own & {'stem.0.weight', 'backbone.stem.0.weight'}:
        return state_dict, None
    weights = recognise(state_dict, source)
    return (named_as_in(model, weights), weights) if weights else (state_dict, None)


def named_as_in(model: nn.Module, weights: Weights) -> dict[str, Tensor]:
    """Weights by the names of a network; without a classifier if it has none.

    Args:
        model (nn.Module): A backbone, or a network with its classifier.
        weights (Weights): The weights.
    """
    own = model.state_dict().keys()
    backbone = 'backbone.' if 'backbone.stem.0.weight' in own else ''
    classifier = next((p for p in ('cls_head.fc_cls.', 'fc.') if f'{p}weight' in own), None)
    renamed = {}
    for key, value in weights.tensors.items():
        if not key.startswith('fc.'):
            renamed[backbone + key] = value
        elif classifier is not None:
            renamed[classifier + key.removeprefix('fc.')] = value
    return renamed


def read_recognizer(state_dict: StateDict) -> Weights:
    """Read weights of a recognizer of ours or a model of :func:`r21d_plugin.create_model`."""
    tensors = {
        key.removeprefix('backbone.').replace('cls_head.fc_cls.', 'fc.'): value
        for key, value in state_dict.items()
    }
    return Weights('a checkpoint of r21d_plugin', tensors, noted_eps(state_dict))


def read_torchvision(state_dict: StateDict) -> Weights:
    """Read weights of torchvision or ig65m-pytorch, or those of a backbone alone."""
    tensors = dict(state_dict)
    if (noted := noted_eps(state_dict)) is not None:
        return Weights('a state dict of r21d_plugin', tensors, noted)
    if 'fc.weight' not in tensors:
        return Weights('weights of a backbone', tensors)
    eps = published_eps(tensors)
    return Weights(f'weights of {"ig65m-pytorch" if eps == EPS else "torchvision"}', tensors, eps)


def noted_eps(state_dict: StateDict) -> float | None:
    """Epsilon of batch norm that a state dict of ours names in its metadata."""
    entries = (getattr(state_dict, '_metadata', None) or {}).values()
    return next((entry['norm_eps'] for entry in entries if 'norm_eps' in entry), None)


def published_eps(state_dict: StateDict) -> float:
    """Epsilon of batch norm with which weights under torchvision's names are published."""
    return EPS if any(key.startswith('layer1.2.') for key in state_dict) else TORCHVISION_EPS


def read_net(state_dict: StateDict) -> Weights:
    """Read weights of a PyTorchVideo ``Net`` of :mod:`r21d_plugin.pytorchvideo`."""
    tensors = {from_net(key): value for key, value in state_dict.items()}
    return Weights('weights of a PyTorchVideo Net', tensors, noted_eps(state_dict))


def read_caffe2(state_dict: StateDict) -> Weights:
    """Read the blobs of a network of VMZ, the authors' release."""
    names = caffe2.names(state_dict)
    tensors = {names[blob]: value for blob, value in state_dict.items()}
    return Weights("a Caffe2 pickle of VMZ, the authors' release", tensors, EPS)


FORMS: dict[str, Callable[[StateDict], Weights]] = {
    'backbone.stem.0.weight': read_recognizer,
    'stem.0.weight': read_torchvision,
    'blocks.0.0.weight': read_net,
    'conv1_w': read_caffe2,
}
"""What reads weights, by the name of a tensor that tells their form."""

"""The forms in which weights of these networks are published, told by the names of their tensors.

Every form is turned into one: torchvision's names, which are those of our
backbones (``stem.0.weight``, ``layer1.0.conv1.0.weight``, ...), with ``fc`` for
the classifier.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

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


def translated(state_dict: StateDict, model: nn.Module, source: str) -> tuple[StateDict, str]:
    """Weights by the names that their tensors have in a network.

    Where the network's batch norm has another epsilon than the one they were
    trained with, the difference goes into the running variances, so that the
    network computes the same.

    Args:
        state_dict (Mapping[str, Tensor]): Weights of any form.
        model (nn.Module): The network: a backbone, or one with its classifier.
        source (str): Where they come from, for the message.

    Returns:
        tuple[Mapping[str, Tensor], str]: The weights, and the form they came
        in. They are unchanged, and the form is empty, if it is not known or
        the network not of this family.

    Raises:
        InputError: See :func:`recognise`.
    """
    own = model.state_dict().keys()
    if own == state_dict.keys() or not own & {'stem.0.weight', 'backbone.stem.0.weight'}:
        return state_dict, ''
    weights = recognise(state_dict, source)
    return (named_as_in(model, weights), weights.form) if weights else (state_dict, '')


def named_as_in(model: nn.Module, weights: Weights) -> dict[str, Tensor]:
    """Weights by the names, and for the epsilon, of a network; without a classifier if it has none.

    Args:
        model (nn.Module): A backbone, or a network with its classifier.
        weights (Weights): The weights.
    """
    own = model.state_dict().keys()
    backbone = 'backbone.' if 'backbone.stem.0.weight' in own else ''
    classifier = next((p for p in ('cls_head.fc_cls.', 'fc.') if f'{p}weight' in own), None)
    renamed = {}
    for key, value in with_eps(weights, norm_eps(model)).items():
        if not key.startswith('fc.'):
            renamed[backbone + key] = value
        elif classifier is not None:
            renamed[classifier + key.removeprefix('fc.')] = value
    return renamed


def norm_eps(model: nn.Module) -> float:
    """Epsilon of a network's batch norm."""
    return next((m.eps for m in model.modules() if isinstance(m, _BatchNorm)), EPS)


def with_eps(weights: Weights, eps: float) -> dict[str, Tensor]:
    """Tensors for batch norm of another epsilon, with which the network computes the same.

    Args:
        weights (Weights): The weights.
        eps (float): The epsilon.

    Returns:
        dict[str, Tensor]: The tensors. A running variance can become negative,
        but never the sum of it and the epsilon.
    """
    if weights.eps in (None, eps):
        return weights.tensors
    return {
        key: value + (weights.eps - eps) if key.endswith('running_var') else value
        for key, value in weights.tensors.items()
    }


def read_recognizer(state_dict: StateDict) -> Weights:
    """Read weights of a recognizer of ours or a model of :func:`r21d_plugin.create_model`."""
    tensors = {
        key.removeprefix('backbone.').replace('cls_head.fc_cls.', 'fc.'): value
        for key, value in state_dict.items()
    }
    return Weights('a checkpoint of r21d_plugin', tensors)


def read_torchvision(state_dict: StateDict) -> Weights:
    """Read weights of torchvision or ig65m-pytorch, or those of a backbone alone."""
    tensors = dict(state_dict)
    if 'fc.weight' not in tensors:
        return Weights('weights of a backbone', tensors)
    eps = published_eps(tensors)
    return Weights(f'weights of {"ig65m-pytorch" if eps == EPS else "torchvision"}', tensors, eps)


def published_eps(state_dict: StateDict) -> float:
    """Epsilon of batch norm with which weights under torchvision's names are published."""
    return EPS if any(key.startswith('layer1.2.') for key in state_dict) else TORCHVISION_EPS


def read_net(state_dict: StateDict) -> Weights:
    """Read weights of a PyTorchVideo ``Net`` of :mod:`r21d_plugin.pytorchvideo`."""
    tensors = {from_net(key): value for key, value in state_dict.items()}
    return Weights('weights of a PyTorchVideo Net', tensors)


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

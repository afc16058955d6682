"""Turning weights of any public form into those of r21d_plugin or of torchvision."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from .._errors import InputError
from .architecture import in_words
from .files import load_state_dict_of, save_checkpoint
from .forms import EPS, Weights, published_eps, recognise
from .loading import network_of


class Conversion(NamedTuple):
    """What was converted.

    Attributes:
        source (str): Form of the source, in words.
        network (str): The network and the arguments that shape it.
        tensors (int): Tensors.
        parameters (int): Parameters.
        eps (float): Epsilon of batch norm that the result is for.
        shift (float): What was added to running variances for that.
        difference (float): Largest difference of a tensor when the result is
            read back for the epsilon of the source.
    """

    source: str
    network: str
    tensors: int
    parameters: int
    eps: float
    shift: float
    difference: float


def to_r21d(weights: Weights) -> tuple[dict, float]:
    """A checkpoint as training writes it, and its epsilon."""
    state_dict = {
        f'cls_head.fc_cls.{key.removeprefix("fc.")}'
        if key.startswith('fc.')
        else f'backbone.{key}': v
        for key, v in with_eps(weights, EPS).items()
    }
    return dict(state_dict=state_dict, meta={}), EPS


def to_torchvision(weights: Weights) -> tuple[dict, float]:
    """A state dict as torchvision publishes it, at 34 layers ig65m-pytorch, and its epsilon."""
    eps = published_eps(weights.tensors)
    return with_eps(weights, eps), eps


FORMS: dict[str, Callable[[Weights], tuple[dict, float]]] = {
    'r21d': to_r21d,
    'torchvision': to_torchvision,
}
"""What writes a form, by its name."""


def convert(source: str, path: Path, form: str) -> Conversion:
    """Convert weights and read the result back.

    Args:
        source (str): Checkpoint (file or URL) of any public form.
        path (Path): File to write.
        form (str): ``'r21d'`` or ``'torchvision'``.

    Raises:
        InputError: If the source holds no network of this family with its
            classifier, or the result cannot be written.
    """
    given = recognise(load_state_dict_of(source), source)
    if given is None or 'fc.weight' not in given.tensors:
        raise InputError(f'{source}: no weights of a single network with its classifier')
    given_eps = EPS if given.eps is None else given.eps
    weights = given._replace(eps=given_eps)
    converted, eps = FORMS[form](weights)
    save_checkpoint(converted, path)
    written = recognise(load_state_dict_of(str(path)), str(path))
    assert written is not None, 'what was written is of a known form'
    back = with_eps(written._replace(eps=eps), given_eps)
    return Conversion(
        given.form,
        in_words(network_of(given.tensors, source)),
        len(back),
        sum(v.numel() for k, v in back.items() if k.endswith(('weight', 'bias'))),
        eps,
        given_eps - eps,
        max(largest_difference(back[key], value) for key, value in weights.tensors.items()),
    )


def with_eps(weights: Weights, eps: float) -> dict[str, Tensor]:
    """Tensors for batch norm of another epsilon, with which the network computes the same.

    A running variance can become negative, but never the sum of it and the epsilon.
    """
    if weights.eps in (None, eps):
        return weights.tensors
    return {
        key: value + (weights.eps - eps) if key.endswith('running_var') else value
        for key, value in weights.tensors.items()
    }


def largest_difference(a: Tensor, b: Tensor) -> float:
    """Largest difference of two tensors of numbers."""
    return (a.to(torch.float64) - b.to(torch.float64)).abs().max().item()

"""Warm-up of the learning rate, and mixed precision on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.optim import LinearLR, OptimWrapper
from torch import Tensor, nn

from .._errors import InputError
from .._registries import OPTIM_WRAPPERS, PARAM_SCHEDULERS
from ..models import VideoResNet
from ..models.accelerate import accelerate
from ..models.recognizer import warn_of_slow_bfloat16


@PARAM_SCHEDULERS.register_module()
class GradualWarmupLR(LinearLR):
    """Warm-up of `Goyal et al. <https://arxiv.org/abs/1706.02677>`_ (Section 2.2).

    A rate that was multiplied by n for a step of n times the clips of the config's rate begins at
    the config's rate and rises linearly (Section 4.1: for 10 epochs). Our commands know n; in other
    runners, it is the number of processes. Arguments are those of MMEngine's LinearLR.
    """

    def __init__(self, optimizer: Any, **kwargs: Any) -> None:
        factor = getattr(optimizer, 'lr_factor', get_world_size())
        super().__init__(optimizer, start_factor=min(1, 1 / factor), **kwargs)


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Optimizer wrapper for bfloat16 training on the CPU, which AmpOptimWrapper does not support.

    The networks of this package compute in bfloat16, inside any recognizer or detector. Weights,
    gradients, necks, heads and losses stay float32, which MMAction2's heads require. Losses are not
    scaled, because bfloat16 has the range of float32. ``tools/train.py --amp`` uses this wrapper on
    the CPU. Arguments are those of MMEngine's OptimWrapper.
    """

    forwards: dict[nn.Module, Callable[..., Any]] = {}

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute in bfloat16 inside the block; the first call prepares the networks."""
        if not self.forwards:
            self.forwards = prepare_for_bfloat16(model)
        for network, forward in self.forwards.items():
            network.forward = forward
        try:
            with super().optim_context(model):
                yield
        finally:
            for network in self.forwards:
                del network.forward


def prepare_for_bfloat16(model: nn.Module) -> dict[nn.Module, Callable[..., Any]]:
    """Return a bfloat16 forward function for each of this package's networks in a model.

    The networks are accelerated, because PyTorch's ``conv3d`` computes wrong bfloat16 gradients on
    the CPU. Raises an InputError if the model has no such network.
    """
    networks = [module for module in model.modules() if isinstance(module, VideoResNet)]
    if not networks:
        raise InputError(
            'mixed precision on the CPU is for networks of r21d_plugin, as conv3d of PyTorch has '
            'wrong gradients in bfloat16: train this one without --amp, or on a GPU'
        )
    warn_of_slow_bfloat16()
    if any(type(m) is nn.Conv3d for network in networks for m in network.modules()):
        print_log('accelerated the network, as bfloat16 training on the CPU requires', 'current')
    return {network: in_bfloat16(accelerate(network).forward) for network in networks}


def in_bfloat16(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a forward function: compute in bfloat16, and return float32 feature maps."""

    @wraps(forward)
    def wrapped(x: Tensor) -> Tensor | tuple[Tensor, ...]:
        with torch.autocast('cpu', torch.bfloat16):
            features = forward(x)
        if isinstance(features, tuple):
            return tuple(feature.float() for feature in features)
        whole: Tensor = features.float()
        return whole

    return wrapped

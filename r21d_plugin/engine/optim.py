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

    The learning rate of n processes is n times that of one; this ramps it linearly from the latter
    to the former (Section 4.1: for 10 epochs). The arguments are MMEngine's LinearLR's.
    """

    def __init__(self, optimizer: Any, **kwargs: Any) -> None:
        super().__init__(optimizer, start_factor=1 / get_world_size(), **kwargs)


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Training in bfloat16 on the CPU, where MMEngine's AmpOptimWrapper refuses to train.

    The networks of this package compute in bfloat16, in anybody's recognizer or detector; weights,
    gradients, necks, heads and losses stay float32, as MMAction2's heads need. Losses are not
    scaled: bfloat16 has the range of float32. ``tools/train.py --amp`` chooses it on the CPU. The
    arguments are MMEngine's OptimWrapper's.
    """

    forwards: dict[nn.Module, Callable[..., Any]] = {}

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute in bfloat16 inside the block; the first time, prepare the networks for it."""
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
    """Give a forward pass in bfloat16 for each of our networks in a model.

    They are accelerated: PyTorch's own ``conv3d`` has wrong gradients in bfloat16 on the CPU.
    Raises InputError if there is none.
    """
    networks = [module for module in model.modules() if isinstance(module, VideoResNet)]
    if not networks:
        raise InputError(
            'mixed precision on the CPU is for networks of r21d_plugin, as conv3d of PyTorch has '
            'wrong gradients in bfloat16: train this one without --amp, or on a GPU'
        )
    warn_of_slow_bfloat16()
    if any(type(m) is nn.Conv3d for network in networks for m in network.modules()):
        print_log('accelerated the network, which training in bfloat16 on the CPU needs', 'current')
    return {network: in_bfloat16(accelerate(network).forward) for network in networks}


def in_bfloat16(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a forward pass: computed in bfloat16, with feature maps in float32."""

    @wraps(forward)
    def wrapped(x: Tensor) -> Tensor | tuple[Tensor, ...]:
        with torch.autocast('cpu', torch.bfloat16):
            features = forward(x)
        if isinstance(features, tuple):
            return tuple(feature.float() for feature in features)
        whole: Tensor = features.float()
        return whole

    return wrapped

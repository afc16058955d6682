"""Warm-up of the learning rate, and mixed precision on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.optim import LinearLR, OptimWrapper
from torch import nn

from .._errors import InputError
from .._registries import OPTIM_WRAPPERS, PARAM_SCHEDULERS
from ..models import VideoResNet
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

    Weights and gradients stay float32. Losses are not scaled: bfloat16 has the range of float32.
    ``tools/train.py --amp`` chooses it on the CPU. The arguments are MMEngine's OptimWrapper's.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute in bfloat16 inside the block."""
        warn_of_slow_bfloat16()
        networks = [m for m in model.modules() if isinstance(m, VideoResNet)]
        if any(type(m) is nn.Conv3d for network in networks for m in network.modules()):
            raise InputError(
                'bfloat16 on the CPU without default_hooks.accelerate: conv3d of PyTorch has wrong '
                'gradients there: leave that hook as it is, or call r21d_plugin.accelerate'
            )
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield

"""Mixed precision on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from .._errors import InputError
from .._registries import OPTIM_WRAPPERS
from ..models import VideoResNet
from ..models.recognizer import warn_of_slow_bfloat16


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Training in bfloat16 on the CPU, where MMEngine's AmpOptimWrapper refuses to train.

    Weights and their gradients stay float32. Losses are not scaled: bfloat16 has the range of
    float32. ``tools/train.py --amp`` chooses it on the CPU.

    Args:
        **kwargs: Arguments of MMEngine's OptimWrapper.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        warn_of_slow_bfloat16()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute in bfloat16 inside the block."""
        plain = (
            type(conv) is nn.Conv3d
            for m in model.modules()
            if isinstance(m, VideoResNet)
            for conv in m.modules()
        )
        if any(plain):
            raise InputError(
                'bfloat16 on the CPU without default_hooks.accelerate: conv3d of PyTorch has wrong '
                'gradients there: leave that hook as it is, or call r21d_plugin.accelerate'
            )
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield

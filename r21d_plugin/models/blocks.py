"""Residual blocks of the networks: two convolutions, or a bottleneck of three.

Module names follow torchvision's blocks (``conv1``, ``conv2``, ``conv3``, ``downsample``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .._compat_torch import RECOMPUTES_WHEN_COMPILED, is_compiling
from .._norm_eps import BATCH_NORMS
from .layers import FORMS, ConvSpec, factorized_channels

Midplanes = Literal['layer', 'block']


class ResidualBlock(nn.Module):
    """``x -> convolutions -> (+ shortcut) -> ReLU`` (Equation 1).

    The shortcut is the identity or, where channels or size change, a 1x1x1 convolution and norm.
    """

    def __init__(self, out_channels: int, with_cp: bool) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.with_cp = with_cp
        self.downsample: nn.Module
        self.relu: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x T x H x W to N x C' x T' x H' x W'."""
        if not torch.jit.is_scripting() and self.with_cp and torch.is_grad_enabled():
            y = self.recomputed(x)
        else:
            y = self.residual(x)
        out: Tensor = self.relu(y)
        return out

    def convolve(self, x: Tensor) -> Tensor:
        """F(z_{i-1}) of Equation 1."""
        raise NotImplementedError

    def residual(self, x: Tensor) -> Tensor:
        """z_{i-1} + F(z_{i-1}) of Equation 1."""
        return self.convolve(x).add_(self.downsample(x))

    def recomputed(self, x: Tensor) -> Tensor:
        """:meth:`residual`, with activations recomputed in the backward pass."""
        if is_compiling():
            if not RECOMPUTES_WHEN_COMPILED:
                return self.residual(x)
            out: Tensor = checkpoint(self.residual, x, use_reentrant=False)
            return out
        forward = True

        def run(x: Tensor) -> Tensor:
            nonlocal forward
            context, forward = nullcontext() if forward else running_stats_kept(self), False
            with context:
                return self.residual(x)

        y: Tensor = checkpoint(run, x, use_reentrant=False)
        return y


class BasicBlock(ResidualBlock):
    """Vanilla residual block of two 3x3x3 convolutions.

    ``x -> conv -> norm -> ReLU -> conv -> norm -> (+ shortcut) -> ReLU``

    ``form`` is a key of :data:`.layers.FORMS`, ``first`` the first convolution.
    """

    def __init__(self, form: str, first: ConvSpec, midplanes: Midplanes, with_cp: bool) -> None:
        build, norm, channels = FORMS[form], first.norm, first.out_channels
        super().__init__(channels, with_cp)
        second = inner_conv(first, midplanes)
        self.conv1 = nn.Sequential(build(first), norm(channels), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(build(second), norm(channels))
        self.downsample = make_shortcut(first)
        self.relu = nn.ReLU(inplace=True)

    def convolve(self, x: Tensor) -> Tensor:
        """F(z_{i-1}) of Equation 1."""
        out: Tensor = self.conv2(self.conv1(x))
        return out


class Bottleneck(ResidualBlock):
    """Residual block of a 3x3x3 convolution between two 1x1x1 ones.

    ``x -> 1x1x1 -> norm -> ReLU -> conv -> norm -> ReLU -> 1x1x1 -> norm -> (+ shortcut) -> ReLU``

    ``form`` is that of the middle convolution, which has the stride. ``first`` gives the channels
    of the input, those of the middle convolution and the stride; the block's output has
    ``widening`` times the channels of its middle.
    """

    def __init__(
        self,
        form: str,
        first: ConvSpec,
        midplanes: Midplanes,
        with_cp: bool,
        widening: int = 1,
    ) -> None:
        norm, channels, out_channels = first.norm, first.out_channels, widening * first.out_channels
        super().__init__(out_channels, with_cp)
        enter = first._replace(kernel_size=(1, 1, 1), stride=(1, 1, 1))
        middle = inner_conv(first, midplanes)._replace(stride=first.stride)
        leave = enter._replace(in_channels=channels, out_channels=out_channels)
        self.conv1 = nn.Sequential(FORMS['3D'](enter), norm(channels), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(FORMS[form](middle), norm(channels), nn.ReLU(inplace=True))
        self.conv3 = nn.Sequential(FORMS['3D'](leave), norm(out_channels))
        self.downsample = make_shortcut(first._replace(out_channels=out_channels))
        self.relu = nn.ReLU(inplace=True)

    def convolve(self, x: Tensor) -> Tensor:
        """F(z_{i-1}) of Equation 1."""
        out: Tensor = self.conv3(self.conv2(self.conv1(x)))
        return out


def inner_conv(first: ConvSpec, midplanes: Midplanes) -> ConvSpec:
    """The 3x3x3 convolution of stride 1 between feature maps of a block's own channels."""
    channels = first.out_channels
    own_mid = factorized_channels(channels, channels)
    mid_channels = own_mid if midplanes == 'layer' else first.mid_channels
    return ConvSpec(channels, channels, mid_channels, first.norm)


def make_shortcut(block: ConvSpec) -> nn.Module:
    """Shortcut of a block with the channels and the stride of a convolution."""
    if block.in_channels == block.out_channels and block.stride == (1, 1, 1):
        return nn.Identity()
    shortcut = FORMS['3D'](block._replace(kernel_size=(1, 1, 1)))
    return nn.Sequential(shortcut, block.norm(block.out_channels))


@contextmanager
def running_stats_kept(module: nn.Module) -> Iterator[None]:
    """Keep batch norm's running statistics: recomputed activations must not be counted twice."""
    norms = [m for m in module.modules() if isinstance(m, BATCH_NORMS) and m.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)

"""The forms a convolution can take (Section 3 and Figure 2 of the paper).

A form is a class built from the arguments of :class:`ConvForm`. Each knows its
own kernel, stride and parameters: a 2D one has no temporal extent and hence
ignores a temporal stride, a (2+1)D one splits the stride between its halves.
Nothing outside this file asks which form it is handling.

Module names follow torchvision's video ResNets (``0`` spatial, ``1`` norm,
``3`` temporal inside a (2+1)D convolution), because most public weights of
these networks use them.
"""

from typing import Protocol, cast

import torch
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from ..compat import bf16_weight_gradient_is_wrong

Size = tuple[int, int, int]
"""Temporal extent, height and width."""

STEM_MID_CHANNELS = 45
"""Mid channels of R(2+1)D's conv1 of 64 filters, by the authors' code.

The formula of Section 3.5 gives 83; the paper's 33.3M parameters and the
released weights have 45.
"""


class ConvForm(Protocol):
    """How to build one convolution of a network, batch norm not included.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Filters.
        kernel_size (Size): Kernel of the full 3D convolution that this form
            stands for. Every dimension is odd and padded to keep its size.
        stride (Size): Stride of that 3D convolution.
        mid_channels (int): Channels between the two halves of a factorised
            convolution; the other forms have no use for it.
        norm_cfg (dict): Normalisation between the two halves, likewise.
    """

    def __call__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: Size,
        stride: Size,
        mid_channels: int,
        norm_cfg: dict,
    ) -> nn.Module:
        """Build the convolution; its ``stride`` is the one it really has."""


class Conv3D(nn.Conv3d):
    """3D convolution: t x d x d, over time and space (Section 3.3)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: Size,
        stride: Size,
        mid_channels: int = 0,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=same_padding(kernel_size),
            bias=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve N x C x T x H x W."""
        if bf16_weight_gradient_is_wrong(x, self):
            with torch.autocast('cpu', enabled=False):
                return super().forward(x.float()).to(torch.bfloat16)
        return super().forward(x)


class Conv2D(Conv3D):
    """2D convolution: 1 x d x d, over each frame by itself (Section 3.2)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: Size,
        stride: Size,
        mid_channels: int = 0,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size=(1, *kernel_size[1:]),
            stride=(1, *stride[1:]),
        )


class Conv2Plus1D(nn.Sequential):
    """(2+1)D convolution: 1 x d x d, norm, ReLU, then t x 1 x 1 (Section 3.5).

    ``x -> Conv2D -> norm -> ReLU -> temporal convolution``. The spatial half
    takes the spatial stride, the temporal half the temporal one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: Size,
        stride: Size,
        mid_channels: int,
        norm_cfg: dict,
    ) -> None:
        super().__init__(
            Conv2D(in_channels, mid_channels, kernel_size=kernel_size, stride=stride),
            build_norm_layer(norm_cfg, mid_channels)[1],
            nn.ReLU(inplace=True),
            Conv3D(
                mid_channels,
                out_channels,
                kernel_size=(kernel_size[0], 1, 1),
                stride=(stride[0], 1, 1),
            ),
        )

    @property
    def stride(self) -> Size:
        """Overall stride over time, height and width."""
        spatial, temporal = cast(Conv2D, self[0]), cast(Conv3D, self[3])
        return (temporal.stride[0], *cast(Size, spatial.stride)[1:])


class ConvOverClip(nn.Conv3d):
    """2D convolution over a whole clip: L x d x d, after which time is gone.

    The same as reshaping the clip to 3L channels (Section 3.1), so it fits
    clips of ``clip_len`` frames only.
    """

    def __init__(
        self,
        clip_len: int,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: Size,
        stride: Size,
        mid_channels: int = 0,
        norm_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            (clip_len, *kernel_size[1:]),
            (1, *stride[1:]),
            padding=(0, *same_padding(kernel_size)[1:]),
            bias=False,
        )


def same_padding(kernel_size: Size) -> Size:
    """Padding that keeps the size of the input at stride 1."""
    t, h, w = kernel_size
    return t // 2, h // 2, w // 2


def factorized_channels(in_channels: int, out_channels: int, t: int = 3, d: int = 3) -> int:
    """M_i of Section 3.5: as many parameters as the full 3D convolution.

    ``floor(t d^2 N_{i-1} N_i / (d^2 N_{i-1} + t N_i))``
    """
    full = t * d * d * in_channels * out_channels
    return full // (d * d * in_channels + t * out_channels)

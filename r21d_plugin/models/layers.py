"""The forms a convolution can take (Section 3 and Figure 2 of the paper).

A form is a class built from a :class:`ConvSpec`. Each knows its own kernel,
stride and parameters: a 2D one has no temporal extent and hence ignores a
temporal stride, a (2+1)D one splits the stride between its halves.
Nothing outside this file asks which form it is handling.

Module names follow torchvision's video ResNets (``0`` spatial, ``1`` norm,
``3`` temporal inside a (2+1)D convolution), because most public weights of
these networks use them.
"""

from collections.abc import Callable
from typing import NamedTuple

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


class ConvSpec(NamedTuple):
    """The 3D convolution that a form stands for.

    Attributes:
        in_channels (int): Channels of the input.
        out_channels (int): Filters.
        mid_channels (int): Channels between the halves, if it is factorised.
        norm_cfg (dict): Normalisation between the halves, likewise.
        kernel_size (Size): Odd sizes, padded to keep the input's. Defaults to
            3 x 3 x 3.
        stride (Size): Stride. Defaults to 1.
    """

    in_channels: int
    out_channels: int
    mid_channels: int
    norm_cfg: dict
    kernel_size: Size = (3, 3, 3)
    stride: Size = (1, 1, 1)


ConvForm = Callable[[ConvSpec], nn.Module]
"""Builds a convolution; its ``stride`` is the one it really has."""


class Conv3D(nn.Conv3d):
    """3D convolution: t x d x d, over time and space (Section 3.3).

    Args:
        spec (ConvSpec): The convolution.
    """

    def __init__(self, spec: ConvSpec) -> None:
        t, height, width = spec.kernel_size
        super().__init__(
            spec.in_channels,
            spec.out_channels,
            spec.kernel_size,
            spec.stride,
            padding=(t // 2, height // 2, width // 2),
            bias=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve N x C x T x H x W."""
        if bf16_weight_gradient_is_wrong(x, self):
            with torch.autocast('cpu', enabled=False):
                return super().forward(x.float()).to(torch.bfloat16)
        return super().forward(x)


class Conv2D(Conv3D):
    """2D convolution: 1 x d x d, over each frame by itself (Section 3.2).

    Args:
        spec (ConvSpec): The 3D convolution whose place it takes.
    """

    def __init__(self, spec: ConvSpec) -> None:
        kernel_size: Size = (1, *spec.kernel_size[1:])
        stride: Size = (1, *spec.stride[1:])
        super().__init__(spec._replace(kernel_size=kernel_size, stride=stride))


class Conv2Plus1D(nn.Sequential):
    """(2+1)D convolution: 1 x d x d, norm, ReLU, then t x 1 x 1 (Section 3.5).

    ``x -> Conv2D -> norm -> ReLU -> temporal convolution``. The spatial half
    takes the spatial stride, the temporal half the temporal one.

    Args:
        spec (ConvSpec): The 3D convolution whose place it takes.
    """

    def __init__(self, spec: ConvSpec) -> None:
        temporal = spec._replace(
            in_channels=spec.mid_channels,
            kernel_size=(spec.kernel_size[0], 1, 1),
            stride=(spec.stride[0], 1, 1),
        )
        super().__init__(
            Conv2D(spec._replace(out_channels=spec.mid_channels)),
            build_norm_layer(spec.norm_cfg, spec.mid_channels)[1],
            nn.ReLU(inplace=True),
            Conv3D(temporal),
        )
        self.stride = spec.stride


class ConvOverClip(nn.Conv3d):
    """2D convolution over a whole clip: L x d x d, after which time is gone.

    The same as reshaping the clip to 3L channels (Section 3.1), so it fits
    clips of ``clip_len`` frames only.

    Args:
        clip_len (int): Frames of a clip, L.
        spec (ConvSpec): The 3D convolution whose place it takes.
    """

    def __init__(self, clip_len: int, spec: ConvSpec) -> None:
        _, height, width = spec.kernel_size
        super().__init__(
            spec.in_channels,
            spec.out_channels,
            (clip_len, height, width),
            (1, *spec.stride[1:]),
            padding=(0, height // 2, width // 2),
            bias=False,
        )


def factorized_channels(in_channels: int, out_channels: int, t: int = 3, d: int = 3) -> int:
    """M_i of Section 3.5: as many parameters as the full 3D convolution.

    ``floor(t d^2 N_{i-1} N_i / (d^2 N_{i-1} + t N_i))``
    """
    full = t * d * d * in_channels * out_channels
    return full // (d * d * in_channels + t * out_channels)

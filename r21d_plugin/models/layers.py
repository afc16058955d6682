"""The three forms of a convolution: 2D, 3D and (2+1)D (Section 3 and Figure 2 of the paper).

Each function builds plain PyTorch modules from a :class:`ConvSpec`. A 2D convolution has no
temporal extent and ignores the temporal stride. A (2+1)D convolution applies the spatial stride in
its first half and the temporal stride in its second. Module names follow torchvision's video
ResNets (``0`` spatial, ``1`` norm, ``3`` temporal inside a (2+1)D convolution).
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Tuple

from torch import nn

Size = Tuple[int, int, int]  # temporal extent, height and width
NormLayer = Callable[[int], nn.Module]  # builds a norm for a number of channels

STEM_MIDPLANES = 45
"""Mid channels of R(2+1)D's conv1 with 64 filters, as in the authors' code and released weights.

The formula of Section 3.5 gives 83, which contradicts the paper's 33.3M parameters. With other
numbers of filters, conv1 has as many mid channels as the formula gives for RGB, up to 45; with 8
filters, 20.
"""


class ConvSpec(NamedTuple):
    """Parameters of the 3D convolution that a form replaces; padding keeps the input's size."""

    in_channels: int
    out_channels: int
    mid_channels: int  # between the halves of a (2+1)D convolution
    norm: NormLayer  # between the halves of a (2+1)D convolution
    kernel_size: Size = (3, 3, 3)  # odd
    stride: Size = (1, 1, 1)


def conv3d(spec: ConvSpec) -> nn.Conv3d:
    """3D convolution: t x d x d, over time and space (Section 3.3)."""
    t, height, width = spec.kernel_size
    padding = (t // 2, height // 2, width // 2)
    return nn.Conv3d(
        spec.in_channels, spec.out_channels, spec.kernel_size, spec.stride, padding, bias=False
    )


def conv2d(spec: ConvSpec) -> nn.Conv3d:
    """2D convolution: 1 x d x d, over each frame by itself (Section 3.2)."""
    kernel_size, stride = (1, *spec.kernel_size[1:]), (1, *spec.stride[1:])
    return conv3d(spec._replace(kernel_size=kernel_size, stride=stride))


def conv2plus1d(spec: ConvSpec) -> nn.Sequential:
    """(2+1)D convolution: 1 x d x d, norm, ReLU, then t x 1 x 1 (Section 3.5)."""
    t, step, mid = spec.kernel_size[0], spec.stride[0], spec.mid_channels
    spatial = spec._replace(out_channels=mid)
    temporal = spec._replace(in_channels=mid, kernel_size=(t, 1, 1), stride=(step, 1, 1))
    return nn.Sequential(conv2d(spatial), spec.norm(mid), nn.ReLU(inplace=True), conv3d(temporal))


FORMS: dict[str, Callable[[ConvSpec], nn.Module]] = {
    '2D': conv2d,
    '3D': conv3d,
    '(2+1)D': conv2plus1d,
}
"""The forms of a convolution by the paper's names."""


def factorized_channels(in_channels: int, out_channels: int, t: int = 3, d: int = 3) -> int:
    """Compute M_i of Section 3.5, which matches the parameter count of a 3D convolution.

    ``floor(t d^2 N_{i-1} N_i / (d^2 N_{i-1} + t N_i))``
    """
    full = t * d * d * in_channels * out_channels
    return full // (d * d * in_channels + t * out_channels)

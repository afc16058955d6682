"""The forms a convolution can take (Section 3 and Figure 2 of the paper).

A form is a class built from a :class:`ConvSpec`. Each knows its own kernel,
stride and parameters: a 2D one has no temporal extent and hence ignores a
temporal stride, a (2+1)D one splits the stride between its halves.
Nothing outside this file asks which form it is handling.

Module names follow torchvision's video ResNets (``0`` spatial, ``1`` norm,
``3`` temporal inside a (2+1)D convolution), because most public weights of
these networks use them.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._errors import InputError
from ..compat import bf16_weight_gradient_is_wrong
from ..processor import cpu_capability

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
        return self.convolve(x, self.weight)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Convolve with other weights, such as those that a norm is folded into."""
        t, *d = self.kernel_size
        stride, padding = cast(Size, self.stride), cast(Size, self.padding)
        if fast(x) and t == 1:
            return over_frames(x, weight, bias, stride, padding)
        if eager_on_cpu(x) and d == [1, 1] and stride[1:] == (1, 1):
            return over_time(x, weight, bias, stride, padding)
        # What PyTorch does with a single clip is slow.
        if (fast(x) and len(x) == 1) or bf16_weight_gradient_is_wrong(x, self):
            return over_taps(x, weight, bias, stride, padding)
        return F.conv3d(x, weight, bias, stride, padding)


class Conv2D(Conv3D):
    """2D convolution: 1 x d x d, over each frame by itself (Section 3.2).

    Args:
        spec (ConvSpec): The 3D convolution whose place it takes.
    """

    def __init__(self, spec: ConvSpec) -> None:
        kernel_size: Size = (1, *spec.kernel_size[1:])
        stride: Size = (1, *spec.stride[1:])
        super().__init__(spec._replace(kernel_size=kernel_size, stride=stride))


class Convolutions(nn.Sequential):
    """Convolutions, each with its norm and perhaps a ReLU.

    In evaluation without gradients a batch norm costs no pass over the
    activations where its convolution has fewer weights than they are: the
    norm is folded into the weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x T x H x W."""
        if self.training or torch.is_grad_enabled() or not fast(x):
            return super().forward(x)
        steps = leaves(self)
        for step in steps:
            x = conv_norm(step, next(steps), x) if isinstance(step, Conv3D) else step(x)
        return x


def leaves(modules: nn.Sequential) -> Iterator[nn.Module]:
    """Modules in the order in which they compute, out of the sequences that hold them."""
    for module in modules:
        if isinstance(module, nn.Sequential):
            yield from leaves(module)
        else:
            yield module


def conv_norm(conv: Conv3D, norm: Any, x: Tensor) -> Tensor:
    """A convolution and its norm, in one where that is possible and pays."""
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in (conv, norm))
    folds = isinstance(norm, _BatchNorm) and norm.affine and not norm.training
    if hooked or not folds or conv.weight.numel() > x.numel():
        return norm(conv(x))
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    bias = norm.bias - norm.running_mean * scale
    return conv.convolve(x, conv.weight * scale.view(-1, 1, 1, 1, 1), bias)


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


class ConvOverClip(Conv3D):
    """2D convolution over a whole clip: L x d x d, after which time is gone.

    The same as reshaping the clip to 3L channels (Section 3.1), so it fits
    clips of ``clip_len`` frames only.

    Args:
        clip_len (int): Frames of a clip, L.
        spec (ConvSpec): The 3D convolution whose place it takes.
    """

    def __init__(self, clip_len: int, spec: ConvSpec) -> None:
        kernel_size: Size = (clip_len, *spec.kernel_size[1:])
        super().__init__(spec._replace(kernel_size=kernel_size, stride=(1, *spec.stride[1:])))
        self.padding = (0, *self.padding[1:])

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Convolve N x C x clip_len x H x W with other weights.

        Raises:
            InputError: If the clips have another length.
        """
        clip_len = self.kernel_size[0]
        if x.shape[2] != clip_len:
            raise InputError(
                f'R2D was built for clips of {clip_len} frames and got {x.shape[2]}: '
                'make its clip_len equal to that of the pipeline'
            )
        if not fast(x):
            return super().convolve(x, weight, bias)
        channels = x.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        y = F.conv2d(channels, weight.flatten(1, 2), bias, self.stride[1:], self.padding[1:])
        return y.unsqueeze(2)


def exported() -> bool:
    """Whether an exporter or a compiler looks on, which shall see the 3D convolutions."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def eager_on_cpu(x: Tensor) -> bool:
    """Whether a CPU computes this at once."""
    return x.device.type == 'cpu' and not exported()


def fast(x: Tensor) -> bool:
    """Whether to compute by 2D convolutions of channels-last memory, as fits the CPU.

    They come close to what a CPU can do, PyTorch's 3D ones do not; but their
    weight gradients are slow where there is no AVX-512. Those over time alone are
    2D ones without a copy in either memory, and everywhere on a CPU.
    """
    return eager_on_cpu(x) and not (torch.is_grad_enabled() and cpu_capability() == 'AVX2')


def channels_last(x: Tensor) -> bool:
    """Whether activations are in channels-last memory, as the 2D form and GPUs want them.

    On a GPU it makes training half as fast again (docs/performance.md).
    """
    return fast(x) or (x.is_cuda and not exported())


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Tensor:
    """Convolve in 2D, in the memory format of the input.

    For channels-last input PyTorch copies the weights to that format at each call; where they
    are more than the activations, those are copied to the usual memory and back instead.
    """
    if weight.numel() > x.numel() and weight.is_contiguous() and not x.is_contiguous():
        y = F.conv2d(x.contiguous(), weight, bias, stride, padding)
        return y.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, bias, stride, padding)


def over_time(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size
) -> Tensor:
    """Convolve over time, t x 1 x 1, as in 2D over N images of T rows of H W pixels.

    These are the same memory, be it N x C x T x H x W or N x T x H x W x C.
    """
    pixels = x.permute(0, 2, 3, 4, 1)
    images = pixels.flatten(2, 3).permute(0, 3, 1, 2)
    y = conv2d(images, weight.squeeze(4), bias, (stride[0], 1), (padding[0], 0))
    return y.unflatten(3, x.shape[3:])


def over_frames(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size
) -> Tensor:
    """Convolve over space, 1 x d x d, as in 2D over N T frames.

    These are the same memory as N x T x H x W x C.
    """
    x = x[:, :, :: stride[0]]
    step = stride[1:]
    if weight.shape[3:] == (1, 1):
        # Strided by hand: in torch 2.13 the weight gradient of a strided 1 x 1 convolution of
        # fewer than 16 channels in channels-last memory writes where it must not.
        x, step = x[..., :: step[0], :: step[1]], (1, 1)
    pixels = x.permute(0, 2, 3, 4, 1)
    frames = pixels.flatten(0, 1).permute(0, 3, 1, 2)
    y = conv2d(frames, weight.squeeze(2), bias, step, padding[1:])
    return y.unflatten(0, pixels.shape[:2]).transpose(1, 2)


def over_taps(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size
) -> Tensor:
    """Convolve, 3 x d x d, padded by 1 in time, as the sum of its three 2D convolutions."""
    before, centre, after = (
        partial(over_frames, weight=tap, bias=None, stride=(1, *stride[1:]), padding=padding)
        for tap in weight.split(1, dim=2)
    )
    step = stride[0]
    y = centre(x[:, :, ::step], bias=bias)
    if (frames := x[:, :, step - 1 : -1 : step]).shape[2]:
        y[:, :, 1:] += before(frames[:, :, : y.shape[2] - 1])
    if (frames := x[:, :, 1::step]).shape[2]:
        y[:, :, : frames.shape[2]] += after(frames)
    return y


def factorized_channels(in_channels: int, out_channels: int, t: int = 3, d: int = 3) -> int:
    """M_i of Section 3.5: as many parameters as the full 3D convolution.

    ``floor(t d^2 N_{i-1} N_i / (d^2 N_{i-1} + t N_i))``
    """
    full = t * d * d * in_channels * out_channels
    return full // (d * d * in_channels + t * out_channels)

"""Faster convolutions and batch norms for existing networks: :func:`accelerate`.

Convolutions and the batch norms after them become subclasses of PyTorch's classes that compute the
same result with faster kernels. Modules keep their names, parameters and hooks. Compilers and
exporters see plain 3D convolutions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Optional, Tuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._compat import pairwise
from .._compat_torch import autocast_dtype, cpu_capability, is_compiling

Network = TypeVar('Network', bound=nn.Module)
Bias = Optional[Tensor]
Ints = Tuple[int, ...]


def accelerate(model: Network) -> Network:
    """Make a network compute faster, in place.

    In evaluation mode without gradients, each batch norm is folded into the convolution before it.
    The folded weights are cached and recomputed when a weight or statistic changes. Changes made
    through ``.data`` take effect at the next ``train()`` or ``eval()``. A convolution or norm with
    its own forward hook is not folded; hooks of groups and blocks see the same values as before.
    A convolution that is called by itself returns the values with its batch norm applied.

    On a CPU, convolutions that span one frame or one pixel are computed as 2D convolutions. On CPUs
    and GPUs, activations use channels-last memory: ``reshape`` accepts such tensors, ``view`` may
    refuse them.

    Training in bfloat16 on a CPU requires this call: PyTorch's ``conv3d`` computes wrong weight
    gradients where feature maps have two time steps.

    Args:
        model (nn.Module): A network of this package, or any module that holds one, such as a
            recognizer.

    Returns:
        nn.Module: The same object.
    """
    uses = Counter(child for module in model.modules() for _, child in children_of(module))
    for sequence in [m for m in model.modules() if in_order(m)]:
        for (conv_path, conv), (norm_path, norm) in pairwise(layers_of(sequence, uses)):
            once = uses[conv] == uses[norm] == 1  # the two always follow one another
            if once and type(norm) is nn.BatchNorm3d and is_plain(conv):
                norm.__class__ = AcceleratedBatchNorm3d
                pair: Any = ConvNormPair(sequence, conv_path, norm_path)
                conv.pair = norm.pair = pair
    for module in model.modules():
        if is_plain(module):
            module.__class__ = AcceleratedConv3d
    return model


def layers_of(
    sequence: nn.Module, uses: Counter[nn.Module], prefix: str = ''
) -> Iterator[tuple[str, nn.Module]]:
    """Yield paths and layers in order of computation, including those of nested sequences.

    A sequence that is used more than once counts as a layer.
    """
    for name, module in children_of(sequence):
        if in_order(module) and uses[module] == 1:
            yield from layers_of(module, uses, f'{prefix}{name}.')
        else:
            yield prefix + name, module


def children_of(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield names and children of a module, with repetitions, unlike ``named_children``."""
    for path, child in module.named_modules(remove_duplicate=False):
        if path and '.' not in path:
            yield path, child


def in_order(module: nn.Module) -> bool:
    """Whether a module is a sequence that computes its layers one after another."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def is_plain(module: nn.Module) -> bool:
    """Whether a module is a 3D convolution that :class:`AcceleratedConv3d` can replace."""
    return (
        type(module) is nn.Conv3d
        and module.groups == 1
        and module.dilation == (1, 1, 1)
        and module.padding_mode == 'zeros'
        and not isinstance(module.padding, str)
    )


class ConvNormPair:
    """A convolution and the batch norm that follows it, by their paths in a sequence."""

    def __init__(self, sequence: nn.Module, conv: str, norm: str) -> None:
        self.sequence, self.conv, self.norm = sequence, conv, norm

    def __deepcopy__(self, memo: dict[int, Any]) -> ConvNormPair | None:
        """The pair in a copy of the sequence; None if that is not copied too."""
        sequence = memo.get(id(self.sequence))
        return None if sequence is None else ConvNormPair(sequence, self.conv, self.norm)

    def norm_to_fold(self, caller: nn.Module) -> AcceleratedBatchNorm3d | None:
        """Return the batch norm if it can be folded now and neither module was replaced.

        The caller is the convolution, or a copy of it that shares the pair and is not folded.
        """
        if torch.is_grad_enabled():
            return None
        conv: Any = self.sequence.get_submodule(self.conv)
        norm: Any = self.sequence.get_submodule(self.norm)
        if type(conv) is not AcceleratedConv3d or type(norm) is not AcceleratedBatchNorm3d:
            return None
        if conv.pair is not self or norm.pair is not self or norm.training:
            return None
        if caller is not conv:
            return None
        paths = accumulate(self.conv.split('.'), '{}.{}'.format)  # of the convolution and around it
        modules = [norm, *map(self.sequence.get_submodule, paths)]
        hooked = any(m._forward_hooks or m._forward_pre_hooks for m in modules)
        whole = norm.affine and norm.running_var is not None and conv.bias is None
        return norm if whole and not hooked else None


class AcceleratedBatchNorm3d(nn.BatchNorm3d):
    """Batch norm that returns its input while it is folded into the convolution before it."""

    pair: ConvNormPair | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise N x C x T x H x W; a convolution marks an output that it has normalised."""
        if getattr(x, 'folded_norm', None) is not self:
            return super().forward(x)
        if not is_compiling():
            del vars(x)['folded_norm']
        return x


class AcceleratedConv3d(nn.Conv3d):
    """3D convolution that uses the fastest kernel for its size, input and device."""

    pair: ConvNormPair | None = None
    folded: tuple[Any, ...] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve N x C x T x H x W."""
        if not is_eager(x):  # use conv3d, unless its gradient is wrong
            if bf16_weight_gradient_is_wrong(x, self):
                return sum_of_conv2d(x, self.weight, self.bias, self.stride, self.padding)
            return super().forward(x)
        norm = self.pair.norm_to_fold(self) if self.pair is not None else None
        weight, bias = (self.weight, self.bias) if norm is None else self.fold(norm)
        if x.is_cuda or prefers_channels_last():
            x = x.contiguous(memory_format=torch.channels_last_3d)
        y = self.convolve(x, weight, bias)
        if norm is not None:
            vars(y)['folded_norm'] = norm
        return y

    def train(self, mode: bool = True) -> AcceleratedConv3d:
        """Set the mode; the next evaluation folds the batch norm again."""
        self.folded = None
        return super().train(mode)

    def convolve(self, x: Tensor, weight: Tensor, bias: Bias) -> Tensor:
        """Convolve with the fastest kernel; ``weight`` may have a batch norm folded in."""
        t, *d = self.kernel_size
        stride, padding = self.stride, self.padding
        if x.is_cuda:
            return F.conv3d(x, weight, bias, stride, padding)
        if d == [1, 1] and stride[1:] == (1, 1) and padding[1:] == (0, 0):
            return temporal_conv2d(x, weight, bias, stride, padding)
        if prefers_channels_last():
            if t == 1 and padding[0] == 0:
                return framewise_conv2d(x, weight, bias, stride, padding)
            if t == x.shape[2] and padding[0] == 0:
                return conv2d_over_clip(x, weight, bias, stride, padding)
        # PyTorch's kernel is slow for a single clip.
        slow = t == 3 and padding[0] == 1 and len(x) == 1 and prefers_channels_last()
        if slow or bf16_weight_gradient_is_wrong(x, self):
            return sum_of_conv2d(x, weight, bias, stride, padding)
        return F.conv3d(x, weight, bias, stride, padding)

    def fold(self, norm: Any) -> tuple[Tensor, Tensor]:
        """Fold a norm into channels-last weights and a bias; cached until an input changes."""
        parts = (self.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
        dtype = compute_dtype(self.weight)
        key: Any = None  # inference tensors have no version counter
        if not any(part.is_inference() for part in parts):
            key = dtype, norm.eps, *((p.data_ptr(), p._version, p.device) for p in parts)
        if key is None or self.folded is None or self.folded[0] != key:
            scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
            bias = norm.bias - norm.running_mean * scale
            weight = self.weight * scale.view(-1, 1, 1, 1, 1)
            weight = weight.to(dtype, memory_format=torch.channels_last_3d)
            # Keep the parts: the address of a freed tensor can be that of the next one.
            self.folded = key, weight, bias.to(dtype), parts
        return self.folded[1], self.folded[2]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to copy or pickle, without the folded weights."""
        return dict(self.__dict__, folded=None)


def compute_dtype(weight: Tensor) -> torch.dtype:
    """Return the dtype in which a convolution with these weights computes."""
    return autocast_dtype(weight.device.type) or weight.dtype


def is_eager(x: Tensor) -> bool:
    """Whether a tensor is on a CPU or CUDA device and is not being traced or compiled."""
    if torch.jit.is_tracing() or is_compiling():
        return False
    return type(x) is Tensor and x.device.type in ('cpu', 'cuda')


def has_fast_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32 on this CPU (x86: whether it has AVX-512)."""
    return cpu_capability() not in ('DEFAULT', 'NO AVX', 'AVX2')


def prefers_channels_last() -> bool:
    """Whether 2D convolutions in channels-last memory are faster on this CPU.

    PyTorch's 3D convolutions are slower, but 2D weight gradients are slow without AVX-512.
    """
    return not torch.is_grad_enabled() or 'AVX512' in cpu_capability()


def bf16_weight_gradient_is_wrong(x: Tensor, conv: nn.Conv3d) -> bool:
    """Whether PyTorch computes a wrong bfloat16 weight gradient for a convolution, on the CPU.

    With a temporal kernel size of 3, padding 1, stride 1 and two time steps, the gradient is
    garbage that differs between calls (torch 2.1 to 2.15). This affects conv4_x of R3D and R(2+1)D
    at 8 frames and conv5_x at 16 frames.
    """
    return (
        torch.is_grad_enabled()
        and x.device.type == 'cpu'
        and compute_dtype(x) == torch.bfloat16
        and x.shape[2] == 2
        and (conv.kernel_size[0], conv.stride[0], conv.padding[0]) == (3, 1, 1)
    )


def conv2d(x: Tensor, weight: Tensor, bias: Bias, stride: Ints, padding: Any) -> Tensor:
    """Convolve in 2D, in the memory format of the input.

    PyTorch copies the weights to channels-last memory at each call. Where the weights are larger
    than the activations, we copy the activations to contiguous memory and back instead.
    """
    if weight.numel() > x.numel() and weight.is_contiguous() and not x.is_contiguous():
        y = F.conv2d(x.contiguous(), weight, bias, stride, padding)
        return y.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, bias, stride, padding)


def temporal_conv2d(x: Tensor, weight: Tensor, bias: Bias, stride: Ints, padding: Any) -> Tensor:
    """Convolve over time, t x 1 x 1, in 2D over N images of T x (H W), views of the input."""
    images = x.permute(0, 2, 3, 4, 1).flatten(2, 3).permute(0, 3, 1, 2)
    y = conv2d(images, weight.squeeze(4), bias, (stride[0], 1), (padding[0], 0))
    return with_usual_strides(y.unflatten(3, x.shape[3:]))


def framewise_conv2d(x: Tensor, weight: Tensor, bias: Bias, stride: Ints, padding: Any) -> Tensor:
    """Convolve over space, 1 x d x d, in 2D over N T frames, views of channels-last memory."""
    x = x[:, :, :: stride[0]]
    step = stride[1:]
    if weight.shape[3:] == (1, 1):
        # Apply the stride by indexing: the weight gradient of a strided 1 x 1 convolution with
        # fewer than 16 channels in channels-last memory writes out of bounds (torch 1.13 to 2.15).
        x, step = x[..., :: step[0], :: step[1]], (1, 1)
    pixels = x.permute(0, 2, 3, 4, 1)
    frames = pixels.flatten(0, 1).permute(0, 3, 1, 2)
    y = conv2d(frames, weight.squeeze(2), bias, step, padding[1:])
    return with_usual_strides(y.unflatten(0, pixels.shape[:2]).transpose(1, 2))


def conv2d_over_clip(x: Tensor, weight: Tensor, bias: Bias, stride: Ints, padding: Any) -> Tensor:
    """Convolve over a whole clip, L x d x d, in 2D over an image of L C channels."""
    channels = x.flatten(1, 2).contiguous(memory_format=torch.channels_last)
    y = F.conv2d(channels, weight.flatten(1, 2), bias, stride[1:], padding[1:])
    return with_usual_strides(y.unsqueeze(2))


def sum_of_conv2d(x: Tensor, weight: Tensor, bias: Bias, stride: Ints, padding: Any) -> Tensor:
    """Convolve, 3 x d x d, padded by 1 in time, as the sum of its three 2D convolutions."""
    spatial: Any = dict(stride=(1, *stride[1:]), padding=(0, *padding[1:]))
    before, centre, after = weight.split(1, dim=2)
    step = stride[0]
    y = framewise_conv2d(x[:, :, ::step], centre, bias, **spatial)
    if (frames := x[:, :, step - 1 : -1 : step]).shape[2]:
        y[:, :, 1:] += framewise_conv2d(frames[:, :, : y.shape[2] - 1], before, None, **spatial)
    if (frames := x[:, :, 1::step]).shape[2]:
        y[:, :, : frames.shape[2]] += framewise_conv2d(frames, after, None, **spatial)
    return y


def with_usual_strides(x: Tensor) -> Tensor:
    """View a channels-last tensor with the strides that a new tensor has for axes of size 1.

    With other strides the backward pass of PyTorch's batch norm is wrong on the CPU.
    """
    if 1 not in x.shape[2:] or not x.is_contiguous(memory_format=torch.channels_last_3d):
        return x
    pixels = x.permute(0, 2, 3, 4, 1)
    return pixels.reshape(-1).view(pixels.shape).permute(0, 4, 1, 2, 3)

"""Networks made for speed, by one call: :func:`accelerate`.

Convolutions and their batch norms become subclasses of PyTorch's own that
compute the same by faster kernels. Modules keep their names, parameters and
hooks. A compiler or an exporter sees the plain 3D convolutions.
"""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Network = TypeVar('Network', bound=nn.Module)


def accelerate(model: Network) -> Network:
    """Have a network compute faster, in place.

    In evaluation without gradients each batch norm is folded into the
    convolution before it, once, and again when its numbers have changed. On a
    CPU convolutions of one frame or one pixel are computed as 2D ones; there
    and on a GPU activations are in channels-last memory, which ``reshape``
    takes and ``view`` may refuse. Training in bfloat16 on a CPU needs this
    call: PyTorch's own ``conv3d`` has wrong weight gradients where a clip is
    down to two time steps. Numbers that are changed through ``.data`` while a
    network is in evaluation are seen after the next ``train()`` or ``eval()``.

    Hooks of groups and blocks see what they did before. A convolution or norm
    that has a forward hook of its own is not folded.

    Args:
        model (nn.Module): A network of this package, or any module that holds
            one, such as a recognizer.

    Returns:
        nn.Module: The same object.
    """
    for sequence in [m for m in model.modules() if isinstance(m, nn.Sequential)]:
        steps = list(leaves(sequence))
        for (conv_path, conv), (norm_path, norm) in pairwise(steps):
            if type(norm) is nn.BatchNorm3d and is_plain(conv):
                norm.__class__ = AcceleratedBatchNorm3d
                place: Any = Fold(sequence, conv_path, norm_path)
                conv.fold = norm.fold = place
    for module in model.modules():
        if is_plain(module):
            module.__class__ = AcceleratedConv3d
    return model


def leaves(sequence: nn.Sequential, prefix: str = '') -> Iterator[tuple[str, nn.Module]]:
    """Paths and modules in the order in which they compute, those of nested sequences too."""
    for name, module in sequence.named_children():
        if isinstance(module, nn.Sequential):
            yield from leaves(module, f'{prefix}{name}.')
        else:
            yield prefix + name, module


def is_plain(module: nn.Module) -> bool:
    """Whether a module is a 3D convolution that this file can compute otherwise."""
    return (
        type(module) is nn.Conv3d
        and module.groups == 1
        and module.dilation == (1, 1, 1)
        and module.padding_mode == 'zeros'
        and not isinstance(module.padding, str)
    )


class Fold:
    """The place of a convolution and the batch norm that follows it.

    Args:
        sequence (nn.Sequential): What holds both.
        conv (str): Path of the convolution in it.
        norm (str): Path of the batch norm.
    """

    def __init__(self, sequence: nn.Sequential, conv: str, norm: str) -> None:
        self.sequence, self.conv, self.norm = sequence, conv, norm

    def __deepcopy__(self, memo: dict) -> 'Fold | None':
        """The same place in a copy of the sequence; None where that is not copied too."""
        sequence = memo.get(id(self.sequence))
        return None if sequence is None else Fold(sequence, self.conv, self.norm)

    def batch_norm(self) -> 'AcceleratedBatchNorm3d | None':
        """The batch norm, where it is to be folded now: both are still in their places."""
        if torch.is_grad_enabled():
            return None
        conv: Any = self.sequence.get_submodule(self.conv)
        norm: Any = self.sequence.get_submodule(self.norm)
        if type(conv) is not AcceleratedConv3d or type(norm) is not AcceleratedBatchNorm3d:
            return None
        if conv.fold is not self or norm.fold is not self or norm.training:
            return None
        hooked = any(m._forward_hooks or m._forward_pre_hooks for m in (conv, norm))
        whole = norm.affine and norm.running_var is not None and conv.bias is None
        return norm if whole and not hooked else None


class AcceleratedBatchNorm3d(nn.BatchNorm3d):
    """Batch norm, which passes on what a convolution that it is folded into has normalised."""

    fold: Fold | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise N x C x T x H x W."""
        if self.fold is not None and is_eager(x) and self.fold.batch_norm() is self:
            return x
        return super().forward(x)


class AcceleratedConv3d(nn.Conv3d):
    """3D convolution by the fastest kernel that there is for its size, its input and its device."""

    fold: Fold | None = None
    folded: tuple | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve N x C x T x H x W."""
        if not is_eager(x):
            return self.traced(x)
        norm = self.fold.batch_norm() if self.fold is not None else None
        weight, bias = (self.weight, self.bias) if norm is None else self.fold_in(norm)
        if x.is_cuda or prefers_channels_last():
            x = x.contiguous(memory_format=torch.channels_last_3d)
        return self.convolve(x, weight, bias)

    def traced(self, x: Tensor) -> Tensor:
        """Convolve as a compiler or an exporter shall see it: plainly, if that is right."""
        if bf16_weight_gradient_is_wrong(x, self):
            return over_taps(x, self.weight, self.bias, self.stride, self.padding)
        return super().forward(x)

    def train(self, mode: bool = True) -> 'AcceleratedConv3d':
        """Set the mode; weights are folded anew after that."""
        self.folded = None
        return super().train(mode)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve with weights that a norm may be folded into."""
        t, *d = self.kernel_size
        stride, padding = self.stride, self.padding
        if x.is_cuda:
            return F.conv3d(x, weight, bias, stride, padding)
        if d == [1, 1] and stride[1:] == (1, 1) and padding[1:] == (0, 0):
            return over_time(x, weight, bias, stride, padding)
        if prefers_channels_last():
            if t == 1 and padding[0] == 0:
                return over_frames(x, weight, bias, stride, padding)
            if t == x.shape[2] and padding[0] == 0:
                return over_clip(x, weight, bias, stride, padding)
        # What PyTorch does with a single clip is slow.
        slow = has_three_taps(self) and len(x) == 1 and prefers_channels_last()
        if slow or bf16_weight_gradient_is_wrong(x, self):
            return over_taps(x, weight, bias, stride, padding)
        return F.conv3d(x, weight, bias, stride, padding)

    def fold_in(self, norm: Any) -> tuple[Tensor, Tensor]:
        """Weights and bias with a batch norm folded in, in channels-last memory.

        They are kept until a tensor that they are made of changes, or the type to compute in.
        """
        parts = (self.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
        dtype = compute_dtype(self.weight)
        state = (
            dtype,
            norm.eps,
            *((part.data_ptr(), version(part), part.device) for part in parts),
        )
        untracked = any(part.is_inference() for part in parts)  # whose changes nothing counts
        if self.folded is None or self.folded[0] != state or untracked:
            scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
            bias = norm.bias - norm.running_mean * scale
            weight = (self.weight * scale.view(-1, 1, 1, 1, 1)).to(
                dtype, memory_format=torch.channels_last_3d
            )
            self.folded = state, weight, bias.to(dtype)
        return self.folded[1], self.folded[2]

    def __getstate__(self) -> dict:
        """What is copied and pickled: without what can be folded again."""
        return {**super().__getstate__(), 'folded': None}


def version(tensor: Tensor) -> int:
    """How often a tensor was changed in place; -1 for one of inference mode."""
    return -1 if tensor.is_inference() else tensor._version


def compute_dtype(weight: Tensor) -> torch.dtype:
    """Type in which a convolution with such weights computes."""
    device = weight.device.type
    autocast = torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if autocast else weight.dtype


def is_eager(x: Tensor) -> bool:
    """Whether a tensor has numbers that are computed with at once, on a CPU or a CUDA device."""
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    return type(x) is Tensor and x.device.type in ('cpu', 'cuda')


def has_fast_bfloat16() -> bool:
    """Whether bfloat16 is faster than float32 on this CPU, which on x86 takes AVX-512."""
    return torch.backends.cpu.get_cpu_capability() not in ('DEFAULT', 'NO AVX', 'AVX2')


def prefers_channels_last() -> bool:
    """Whether a CPU should compute by 2D convolutions of channels-last memory.

    They come close to what a CPU can do, PyTorch's 3D ones do not; but their weight gradients are
    slow where there is no AVX-512.
    """
    return not torch.is_grad_enabled() or 'AVX512' in torch.backends.cpu.get_cpu_capability()


def has_three_taps(conv: nn.Conv3d) -> bool:
    """Whether a convolution has 3 taps over time and is padded by 1."""
    return conv.kernel_size[0] == 3 and conv.padding[0] == 1


def bf16_weight_gradient_is_wrong(x: Tensor, conv: nn.Conv3d) -> bool:
    """Whether ``conv3d`` must not compute a convolution of 3 taps over time, padded by 1.

    On the CPU its bfloat16 weight gradient is garbage, and another at each call, when the stride
    is 1 and the input has two time steps: conv4_x of R3D and R(2+1)D at 8 frames, conv5_x at 16.
    Seen in torch 2.1 to 2.15.
    """
    return (
        torch.is_grad_enabled()
        and x.device.type == 'cpu'
        and compute_dtype(x) == torch.bfloat16
        and x.shape[2] == 2
        and conv.stride[0] == 1
        and has_three_taps(conv)
    )


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> Tensor:
    """Convolve in 2D, in the memory format of the input.

    For channels-last input PyTorch copies the weights to that format at each call; where they
    are more than the activations, those are copied to the usual memory and back instead.
    """
    if weight.numel() > x.numel() and weight.is_contiguous() and not x.is_contiguous():
        y = F.conv2d(x.contiguous(), weight, bias, stride, padding)
        return y.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, bias, stride, padding)


def over_time(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any) -> Tensor:
    """Convolve over time, t x 1 x 1, as in 2D over N images of T rows of H W pixels.

    These are the same memory, be it N x C x T x H x W or N x T x H x W x C.
    """
    images = x.permute(0, 2, 3, 4, 1).flatten(2, 3).permute(0, 3, 1, 2)
    y = conv2d(images, weight.squeeze(4), bias, (stride[0], 1), (padding[0], 0))
    return canonical(y.unflatten(3, x.shape[3:]))


def over_frames(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any
) -> Tensor:
    """Convolve over space, 1 x d x d, as in 2D over N T frames.

    These are the same memory as N x T x H x W x C.
    """
    x = x[:, :, :: stride[0]]
    step = stride[1:]
    if weight.shape[3:] == (1, 1):
        # Strided by hand: the weight gradient of a strided 1 x 1 convolution of fewer than 16
        # channels in channels-last memory writes where it must not (torch 1.13 to 2.15).
        x, step = x[..., :: step[0], :: step[1]], (1, 1)
    pixels = x.permute(0, 2, 3, 4, 1)
    frames = pixels.flatten(0, 1).permute(0, 3, 1, 2)
    y = conv2d(frames, weight.squeeze(2), bias, step, padding[1:])
    return canonical(y.unflatten(0, pixels.shape[:2]).transpose(1, 2))


def over_clip(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any) -> Tensor:
    """Convolve over a whole clip, L x d x d, as in 2D over an image of L C channels."""
    channels = x.flatten(1, 2).contiguous(memory_format=torch.channels_last)
    y = F.conv2d(channels, weight.flatten(1, 2), bias, stride[1:], padding[1:])
    return canonical(y.unsqueeze(2))


def over_taps(x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any) -> Tensor:
    """Convolve, 3 x d x d, padded by 1 in time, as the sum of its three 2D convolutions."""
    before, centre, after = (
        partial(
            over_frames, weight=tap, bias=None, stride=(1, *stride[1:]), padding=(0, *padding[1:])
        )
        for tap in weight.split(1, dim=2)
    )
    step = stride[0]
    y = centre(x[:, :, ::step], bias=bias)
    if (frames := x[:, :, step - 1 : -1 : step]).shape[2]:
        y[:, :, 1:] += before(frames[:, :, : y.shape[2] - 1])
    if (frames := x[:, :, 1::step]).shape[2]:
        y[:, :, : frames.shape[2]] += after(frames)
    return y


def canonical(x: Tensor) -> Tensor:
    """A channels-last view whose axes of size 1 have the strides of a new tensor.

    With others the backward pass of PyTorch's batch norm is wrong on the CPU.
    """
    if 1 not in x.shape[2:] or not x.is_contiguous(memory_format=torch.channels_last_3d):
        return x
    pixels = x.permute(0, 2, 3, 4, 1)
    return pixels.reshape(-1).view(pixels.shape).permute(0, 4, 1, 2, 3)

"""The paper's family of video ResNets as MMAction2 backbones.

Every network is a depth and the form of each of its five groups of
convolutions (Figure 1, Table 1)::

    network   conv1    conv2_x  conv3_x  conv4_x  conv5_x
    f-R2D     2D       2D       2D       2D       2D
    MC3       3D       3D       2D       2D       2D
    rMC3      2D       2D       3D       3D       3D
    R3D       3D       3D       3D       3D       3D
    R(2+1)D   (2+1)D   (2+1)D   (2+1)D   (2+1)D   (2+1)D

R2D is f-R2D on a clip whose time conv1 has folded away. What the paper leaves
open (batch norm's epsilon, conv1's mid channels, strides of the mixed
networks) follows the authors' release, https://github.com/facebookresearch/VMZ.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import takewhile
from typing import Any, Literal, cast

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from .._errors import InputError
from ..registry import MODELS
from ..weights import understand
from .frames import UniqueFrames
from .layers import (
    STEM_MID_CHANNELS,
    Conv2D,
    Conv2Plus1D,
    Conv3D,
    ConvForm,
    Convolutions,
    ConvOverClip,
    ConvSpec,
    Size,
    channels_last,
    factorized_channels,
    fast,
)

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Residual blocks of conv2_x to conv5_x by depth (Table 1)."""

NORM_CFG = dict(type='BN3d', eps=1e-3)
"""Batch norm as the authors trained it (momentum 0.1 in PyTorch's terms)."""

INIT_CFG = [
    dict(type='Kaiming', layer=['Conv3d', 'Conv3D'], mode='fan_out', nonlinearity='relu'),
    dict(type='Constant', layer='_BatchNorm', val=1, bias=0),
]
"""MSRA initialisation, `He et al. <https://arxiv.org/abs/1502.01852>`_."""

Midplanes = Literal['layer', 'block']


class Stem(Convolutions):
    """conv1: ``x -> 3x7x7 convolution, stride 1x2x2 -> norm -> ReLU``."""

    def __init__(self, form: ConvForm, in_channels: int, channels: int, norm_cfg: dict) -> None:
        mid_channels = max(1, STEM_MID_CHANNELS * channels // 64)
        conv = form(
            ConvSpec(in_channels, channels, mid_channels, norm_cfg, (3, 7, 7), stride=(1, 2, 2))
        )
        norm = build_norm_layer(norm_cfg, channels)[1]
        # A (2+1)D convolution spreads over the stem, as in torchvision's keys.
        layers = conv if isinstance(conv, nn.Sequential) else [conv]
        super().__init__(*layers, norm, nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x T x H x W, from here on in channels-last memory where that is fast."""
        if channels_last(x):
            x = x.contiguous(memory_format=torch.channels_last_3d)
        return super().forward(x)


class BasicBlock(nn.Module):
    """Vanilla residual block of two 3x3x3 convolutions (Equation 1).

    ``x -> conv -> norm -> ReLU -> conv -> norm -> (+ shortcut) -> ReLU``, the
    shortcut being the identity or, where channels or size change, a 1x1x1
    convolution and norm.

    Args:
        form (ConvForm): Form of both convolutions.
        in_channels (int): Channels of the input.
        channels (int): Channels of the output.
        stride (Size): Stride asked of the first convolution.
        midplanes (str): Where a (2+1)D convolution's mid channels are computed
            from: its own channels (``'layer'``) or the block's (``'block'``).
        norm_cfg (dict): Normalisation layer.
        with_cp (bool): Recompute activations in the backward pass.
    """

    def __init__(
        self,
        form: ConvForm,
        in_channels: int,
        channels: int,
        stride: Size,
        midplanes: Midplanes,
        norm_cfg: dict,
        with_cp: bool,
    ) -> None:
        super().__init__()
        block_mid = factorized_channels(in_channels, channels)
        second_mid = factorized_channels(channels, channels) if midplanes == 'layer' else block_mid
        conv1 = form(ConvSpec(in_channels, channels, block_mid, norm_cfg, stride=stride))
        conv2 = form(ConvSpec(channels, channels, second_mid, norm_cfg))
        self.conv1 = Convolutions(
            conv1, build_norm_layer(norm_cfg, channels)[1], nn.ReLU(inplace=True)
        )
        self.conv2 = Convolutions(conv2, build_norm_layer(norm_cfg, channels)[1])
        self.downsample: nn.Module = nn.Identity()
        if in_channels != channels or stride != (1, 1, 1):
            stride = cast(Size, conv1.stride)
            self.downsample = Convolutions(
                Conv3D(ConvSpec(in_channels, channels, 0, norm_cfg, (1, 1, 1), stride)),
                build_norm_layer(norm_cfg, channels)[1],
            )
        self.relu = nn.ReLU(inplace=True)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, T, H, W) to (N, C_out, T', H', W')."""
        if self.with_cp and torch.is_grad_enabled():
            x = checkpoint(
                self.residual,
                x,
                use_reentrant=False,
                context_fn=lambda: (nullcontext(), running_stats_kept(self)),
            )
        else:
            x = self.residual(x)
        return self.relu(x)

    def residual(self, x: Tensor) -> Tensor:
        """z_{i-1} + F(z_{i-1}) of Equation 1."""
        return self.conv2(self.conv1(x)).add_(self.downsample(x))


@contextmanager
def running_stats_kept(module: nn.Module) -> Iterator[None]:
    """Keep batch norm's running statistics as they are inside the block.

    Recomputing activations would otherwise count every batch twice.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)


class VideoResNet(BaseModule):
    """A video ResNet whose five groups of convolutions each have a form.

    Args:
        depth (int): Layers, 18 or 34.
        forms (Sequence[ConvForm]): Forms of conv1 and conv2_x to conv5_x.
        in_channels (int): Channels of the input: 3 for RGB, 2 for optical
            flow. Defaults to 3.
        base_channels (int): Filters of conv1 and conv2_x, doubled by each
            later group. Defaults to 64.
        out_indices (Sequence[int]): Groups to return, 0 (conv2_x) to 3
            (conv5_x). Defaults to ``(3, )``.
        frozen_stages (int): Groups to freeze, parameters and batch norm: -1
            for none, 0 for conv1, n for conv1 to conv{n+1}_x. Defaults to -1.
        norm_eval (bool): Whether batch norm uses its running statistics in
            training too. Defaults to False.
        norm_cfg (dict): Normalisation layer. Defaults to
            ``dict(type='BN3d', eps=1e-3)``, as the authors trained.
        with_cp (bool): Whether to trade compute for memory by recomputing
            activations in the backward pass. Defaults to False.
        midplanes (str): See :class:`R2Plus1D`. Defaults to ``'layer'``.
        init_cfg (dict or list[dict], optional): Initialisation. Defaults to
            MSRA for convolutions, as in the paper. ``dict(type='Pretrained',
            checkpoint=...)`` takes a file or URL of any public form.

    Raises:
        InputError: If the depth is not one of the paper's.
    """

    def __init__(
        self,
        depth: int,
        forms: Sequence[ConvForm],
        in_channels: int = 3,
        base_channels: int = 64,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict = NORM_CFG,
        with_cp: bool = False,
        midplanes: Midplanes = 'layer',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if depth not in DEPTHS:
            raise InputError(f'depth={depth!r} is not in the paper: use one of {list(DEPTHS)}')
        if not set(out_indices) <= set(range(4)) or not out_indices:
            raise InputError(f'out_indices={out_indices!r}: choose from 0 (conv2_x) to 3 (conv5_x)')
        if frozen_stages not in range(-1, 5):
            raise InputError(f'frozen_stages={frozen_stages!r}: use -1 (none) to 4 (conv5_x)')
        super().__init__(init_cfg or INIT_CFG)
        self.depth = depth
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

        # Groups from conv1 on that see one frame at a time.
        self.frame_wise = len(list(takewhile(lambda form: form is Conv2D, forms)))
        self.stem = Stem(forms[0], in_channels, base_channels, norm_cfg)
        channels = base_channels
        for group, (form, blocks) in enumerate(zip(forms[1:], DEPTHS[depth], strict=True)):
            layer = nn.Sequential()
            for i in range(blocks):
                out_channels = base_channels * 2**group
                stride = (2, 2, 2) if group > 0 and i == 0 else (1, 1, 1)
                layer.append(
                    BasicBlock(form, channels, out_channels, stride, midplanes, norm_cfg, with_cp)
                )
                channels = out_channels
            self.add_module(f'layer{group + 1}', layer)
        self.feat_dim = channels
        self._freeze_stages()
        self.register_load_state_dict_pre_hook(understand)

    @property
    def groups(self) -> list[nn.Module]:
        """conv1, conv2_x, ..., conv5_x."""
        return [self.stem, *(self.get_submodule(f'layer{i}') for i in range(1, 5))]

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute feature maps.

        Args:
            x (Tensor): Normalised clips, N x C x T x H x W.

        Returns:
            Tensor or tuple[Tensor]: The feature map of the group in
            ``out_indices``, N x C' x T' x H' x W'; a tuple if there are
            several.
        """
        unique = self._unique_frames(x)
        if unique:
            x = unique.frames
        features = []
        for i, group in enumerate(self.groups):
            if unique and i == self.frame_wise:
                x, unique = unique.clips(x), None
            x = group(x)
            if i - 1 in self.out_indices:
                features.append(unique.clips(x) if unique else x)
        return features[0] if len(features) == 1 else tuple(features)

    def _unique_frames(self, x: Tensor) -> UniqueFrames | None:
        """The frames for groups of 2D convolutions, where they would see one twice."""
        if not self.frame_wise or self.training or torch.is_grad_enabled() or not fast(x):
            return None
        unique = UniqueFrames(x)
        return unique if len(unique.frames) < x.shape[0] * x.shape[2] else None

    def train(self, mode: bool = True) -> 'VideoResNet':
        """Set the mode, leaving frozen groups and norms as they are."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze_stages(self) -> None:
        for group in self.groups[: self.frozen_stages + 1]:
            group.eval()
            group.requires_grad_(False)


@MODELS.register_module()
class FR2D(VideoResNet):
    """f-R2D: 2D convolutions over frames (Section 3.2).

    Args:
        depth (int): Layers, 18 or 34.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, [Conv2D] * 5, **kwargs)


@MODELS.register_module()
class R2D(VideoResNet):
    """R2D: 2D convolutions over the entire clip (Section 3.1).

    conv1 spans all frames, so the network fits one clip length only and its
    feature maps have a single time step.

    Args:
        depth (int): Layers, 18 or 34.
        clip_len (int): Frames of a clip.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, clip_len: int, **kwargs: Any) -> None:
        super().__init__(depth, [partial(ConvOverClip, clip_len)] + [Conv2D] * 4, **kwargs)
        self.clip_len = clip_len


@MODELS.register_module()
class R3D(VideoResNet):
    """R3D: 3D convolutions (Section 3.3, Table 1).

    Args:
        depth (int): Layers, 18 or 34.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, [Conv3D] * 5, **kwargs)


@MODELS.register_module()
class MCx(VideoResNet):
    """MCx: 3D convolutions below group x, 2D from there on (Section 3.4).

    Args:
        depth (int): Layers, 18 or 34.
        x (int): First group of 2D convolutions, 2 to 5.
        **kwargs: Arguments of :class:`VideoResNet`.

    Raises:
        InputError: If x is not 2 to 5.
    """

    def __init__(self, depth: int, x: int, **kwargs: Any) -> None:
        super().__init__(depth, mixed(Conv3D, Conv2D, x), **kwargs)


@MODELS.register_module()
class RMCx(VideoResNet):
    """rMCx: 2D convolutions below group x, 3D from there on (Section 3.4).

    Args:
        depth (int): Layers, 18 or 34.
        x (int): First group of 3D convolutions, 2 to 5.
        **kwargs: Arguments of :class:`VideoResNet`.

    Raises:
        InputError: If x is not 2 to 5.
    """

    def __init__(self, depth: int, x: int, **kwargs: Any) -> None:
        super().__init__(depth, mixed(Conv2D, Conv3D, x), **kwargs)


@MODELS.register_module()
class R2Plus1D(VideoResNet):
    """R(2+1)D: (2+1)D convolutions (Section 3.5).

    Args:
        depth (int): Layers, 18 or 34.
        midplanes (str): Where the mid channels M_i are computed from.
            ``'layer'``: each convolution's own channels, the paper's formula.
            ``'block'``: those of its residual block, as torchvision does,
            whose public weights need it. Defaults to ``'layer'``.
        **kwargs: Arguments of :class:`VideoResNet`.

    Raises:
        InputError: If midplanes is neither.
    """

    def __init__(self, depth: int, midplanes: Midplanes = 'layer', **kwargs: Any) -> None:
        if midplanes not in ('layer', 'block'):
            raise InputError(f"midplanes={midplanes!r}: use 'layer' (the paper) or 'block'")
        super().__init__(depth, [Conv2Plus1D] * 5, midplanes=midplanes, **kwargs)


def mixed(below: ConvForm, from_x: ConvForm, x: int) -> list[ConvForm]:
    """Forms of the five groups that change at group x (Section 3.4)."""
    if x not in range(2, 6):
        raise InputError(f'x={x!r}: mixed networks change at group 2, 3, 4 or 5')
    return [below] * (x - 1) + [from_x] * (6 - x)

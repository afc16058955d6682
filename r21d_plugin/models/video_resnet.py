"""The paper's family of video ResNets, as ordinary PyTorch modules.

A depth and the form of each of five groups of convolutions define a network (Figure 1, Table 1)::

    network   conv1    conv2_x  conv3_x  conv4_x  conv5_x
    f-R2D     2D       2D       2D       2D       2D
    MC3       3D       3D       2D       2D       2D
    rMC3      2D       2D       3D       3D       3D
    R3D       3D       3D       3D       3D       3D
    R(2+1)D   (2+1)D   (2+1)D   (2+1)D   (2+1)D   (2+1)D

R2D is f-R2D with a conv1 that spans all frames. Details that the paper does not specify (batch
norm's epsilon, conv1's mid channels, strides of the mixed networks) follow the authors' release,
https://github.com/facebookresearch/VMZ. So do the depths other than the paper's 18 and 34
(``BLOCK_CONFIG`` in c2/lib/models/r3d_model.py, ``add_bottleneck`` in builder/video_model.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Callable, Tuple

import torch
from torch import Tensor, fx, nn

from .._errors import InputError, check_whole
from .._norm_eps import BATCH_NORMS, keep_norm_eps_in_state_dicts
from .blocks import BasicBlock, Bottleneck, Midplanes, ResidualBlock
from .layers import FORMS, STEM_MIDPLANES, ConvSpec, NormLayer, factorized_channels

Blocks = Tuple[int, int, int, int]
WideBottleneck = partial(Bottleneck, widening=4)

DEPTHS: dict[int, tuple[Blocks, Callable[..., ResidualBlock]]] = {
    18: ((2, 2, 2, 2), BasicBlock),
    26: ((2, 2, 2, 2), Bottleneck),
    34: ((3, 4, 6, 3), BasicBlock),
    50: ((3, 4, 6, 3), WideBottleneck),
    101: ((3, 4, 23, 3), WideBottleneck),
    152: ((3, 8, 36, 3), WideBottleneck),
}
"""Number and type of the residual blocks of conv2_x to conv5_x, by depth (18 and 34: Table 1).

As in the release, bottlenecks do not widen at 26 layers, and no depth has a max-pool after conv1.
The release has an optional max-pool for larger frames (``use_pool1``). Its table of GFLOPs
(R(2+1)D-152: 329.1, R(2+1)D-34: 199.0) holds for clips of 32 x 128 x 128 without the max-pool. With
the max-pool, the final feature map of 112 x 112 frames is smaller than the 7 x 7 that its Caffe2
network averages. Its PyTorch code adds the max-pool to R(2+1)D-152 by default; GluonCV's port of
the weights does not, and reports 81.3% where the release reports 81.6%.
"""

NORM_CFG = dict(type='BN3d', eps=1e-3)
"""Batch norm as the authors trained it (momentum 0.1 in PyTorch's terms)."""


def norm_layer(norm_cfg: dict[str, Any]) -> NormLayer:
    """Return a builder of the norm layers of a config; MMCV builds all types but ``BN3d``."""
    arguments = dict(norm_cfg)
    if 'type' not in arguments:
        raise InputError(f"norm_cfg={arguments}: add its type, such as type='BN3d'")
    if arguments.pop('type') == 'BN3d' and 'requires_grad' not in arguments:
        return partial(nn.BatchNorm3d, **arguments)
    from mmcv.cnn import build_norm_layer

    return lambda channels: build_norm_layer(norm_cfg, channels)[1]


def make_stem(
    form: str, in_channels: int, channels: int, norm: NormLayer, clip_len: int | None
) -> nn.Sequential:
    """conv1: ``x -> 3x7x7 convolution, stride 1x2x2 -> norm -> ReLU``."""
    if clip_len is None:
        mid_channels = min(STEM_MIDPLANES, factorized_channels(3, channels, 3, 7))
        spec = ConvSpec(in_channels, channels, mid_channels, norm, (3, 7, 7), (1, 2, 2))
        conv = FORMS[form](spec)
    else:  # R2D treats a clip as an image of 3L channels (Section 3.1)
        conv = nn.Conv3d(in_channels, channels, (clip_len, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
    # The modules of a (2+1)D convolution become modules of the stem, as in torchvision.
    convs = conv if isinstance(conv, nn.Sequential) else [conv]
    return nn.Sequential(*convs, norm(channels), nn.ReLU(inplace=True))


class VideoResNet(nn.Module):
    """A video ResNet whose five groups of convolutions each have a form.

    Input: normalised clips, N x C x T x H x W. Output: a feature map, N x C' x T' x H' x W'.

    Args:
        depth (int): Number of layers, a key of :data:`DEPTHS`.
        forms (Sequence[str]): Forms of conv1 and conv2_x to conv5_x, keys of :data:`.layers.FORMS`.
        in_channels (int): Input channels, 3 for RGB or 2 for optical flow. Defaults to 3.
        base_channels (int): Filters of conv1 and conv2_x; each later group doubles them. With 50 or
            more layers, a group's feature map has four times as many channels. Defaults to 64.
        out_indices (Sequence[int]): Groups whose feature maps are returned, 0 (conv2_x) to 3
            (conv5_x); several feature maps are returned as a tuple. Defaults to ``(3, )``.
        frozen_stages (int): Groups whose parameters and batch norms are frozen: -1 for none, 0 for
            conv1, n for conv1 to conv{n+1}_x. Defaults to -1.
        norm_eval (bool): Use batch norm's running statistics in training too. Defaults to False.
        norm_cfg (dict, optional): Normalisation. Defaults to ``dict(type='BN3d', eps=1e-3)``.
        with_cp (bool): Save memory by recomputing activations (checkpointing). Defaults to False.
        midplanes (str): See :class:`R2Plus1D`. Defaults to ``'layer'``.
        clip_len (int, optional): Frames per clip, all of which R2D's conv1 spans. Defaults to None.
        init_cfg (dict or list[dict], optional): Initialisation by MMEngine, such as
            ``dict(type='r21d_plugin.Pretrained', checkpoint=...)``. Defaults to None: MSRA, as in
            the paper (https://arxiv.org/abs/1502.01852).
    """

    def __init__(
        self,
        depth: int,
        forms: Sequence[str],
        in_channels: int = 3,
        base_channels: int = 64,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        norm_cfg: dict[str, Any] | None = None,
        with_cp: bool = False,
        midplanes: Midplanes = 'layer',
        clip_len: int | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        check_choice('depth', depth, DEPTHS)
        check_choice('frozen_stages', frozen_stages, range(-1, 5))
        check_choice('midplanes', midplanes, ('layer', 'block'))
        check_whole('in_channels', in_channels)
        check_whole('base_channels', base_channels)
        wrong = isinstance(out_indices, int) or not out_indices
        if wrong or not set(out_indices) <= set(range(4)):
            raise InputError(f'out_indices={out_indices!r}: list some of 0 (conv2_x) to 3')
        self.depth, self.in_channels, self.clip_len = depth, in_channels, clip_len
        self.base_channels, self.out_indices = base_channels, tuple(out_indices)
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        self.init_cfg = init_cfg
        self.norm_eps_is_given = norm_cfg is not None and 'eps' in norm_cfg

        norm = norm_layer(NORM_CFG if norm_cfg is None else norm_cfg)
        self.stem = make_stem(forms[0], in_channels, base_channels, norm, clip_len)
        layers = []
        in_channels = base_channels
        numbers, build_block = DEPTHS[depth]
        for group, (form, blocks) in enumerate(zip(forms[1:], numbers)):
            channels = base_channels * 2**group
            layer = nn.Sequential()
            for i in range(blocks):
                step = 2 if group > 0 and i == 0 else 1
                stride = (1 if form == '2D' else step, step, step)
                mid_channels = factorized_channels(in_channels, channels)
                first = ConvSpec(in_channels, channels, mid_channels, norm, stride=stride)
                block = build_block(form, first, midplanes, with_cp)
                layer.append(block)
                in_channels = block.out_channels
            layers.append(layer)
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.num_features = in_channels
        self.reset_parameters()
        self.train()
        keep_norm_eps_in_state_dicts(self)

    @torch.jit.unused  # type: ignore[prop-decorator]
    @property
    def groups(self) -> list[nn.Module]:
        """conv1, conv2_x, ..., conv5_x."""
        return [self.stem, self.layer1, self.layer2, self.layer3, self.layer4]

    def forward_features(self, x: Tensor) -> Tensor:
        """Compute the feature map of conv5_x, N x num_features x T' x H' x W'."""
        if not torch.jit.is_scripting():
            self.check_clips(x)
        x = self.layer2(self.layer1(self.stem(x)))
        features: Tensor = self.layer4(self.layer3(x))
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature maps of ``out_indices``; scripted networks support conv5_x only."""
        if not torch.jit.is_scripting():
            self.check_clips(x)
            features: Any = ()
            x = self.stem(x)
            for index, layer in enumerate(self.groups[1 : max(self.out_indices) + 2]):
                x = layer(x)
                if index in self.out_indices:
                    features += (x,)
            maps: Tensor = features[0] if len(features) == 1 else features
            return maps
        assert len(self.out_indices) == 1, 'a scripted network gives one feature map'
        assert self.out_indices[0] == 3, 'a scripted network gives that of conv5_x'
        return self.forward_features(x)

    def check_clips(self, x: Tensor) -> None:
        """Raise an InputError if clips have a wrong number of channels or, for R2D, of frames."""
        if isinstance(x, fx.Proxy) or torch.jit.is_tracing():
            return
        if x.ndim != 5 or x.shape[1] != self.in_channels:
            raise InputError(
                f'the backbone got {" x ".join(map(str, x.shape))}, not N x {self.in_channels} x T '
                "x H x W: set its in_channels, or FormatShape to 'NCTHW' in a Recognizer3D"
            )
        if self.clip_len not in (None, x.shape[2]):
            problem = f'R2D was built for clips of {self.clip_len} frames and got {x.shape[2]}'
            raise InputError(f'{problem}: make its clip_len equal to that of the pipeline')

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, or else as in the paper; MMEngine's runner calls this method.

        MMEngine's ``Pretrained`` silently skips tensors with unknown names, so it is replaced by
        ours.
        """
        if self.init_cfg is None:
            self.reset_parameters()
            return
        from mmengine.model import initialize

        given = self.init_cfg if isinstance(self.init_cfg, list) else [self.init_cfg]
        initialize(self, [pretrained_by_us(cfg) for cfg in given])

    def reset_parameters(self) -> None:
        """Initialise convolutions by the MSRA method, and norms as the identity."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
            elif isinstance(module, BATCH_NORMS):
                module.reset_parameters()

    def train(self, mode: bool = True) -> VideoResNet:
        """Set the mode; frozen groups and norms stay in evaluation mode."""
        super().train(mode)
        for group in self.groups[: self.frozen_stages + 1]:
            group.eval()
            group.requires_grad_(False)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, BATCH_NORMS):
                    module.eval()
        return self


class FR2D(VideoResNet):
    """f-R2D: 2D convolutions over frames (Section 3.2)."""

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, ['2D'] * 5, **kwargs)


class R2D(VideoResNet):
    """R2D: 2D convolutions over a whole clip; feature maps have one time step (Section 3.1)."""

    def __init__(self, depth: int, clip_len: int, **kwargs: Any) -> None:
        check_whole('clip_len', clip_len)
        super().__init__(depth, ['2D'] * 5, clip_len=clip_len, **kwargs)


class R3D(VideoResNet):
    """R3D: 3D convolutions (Section 3.3)."""

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, ['3D'] * 5, **kwargs)


class MCx(VideoResNet):
    """MCx: 3D convolutions below group ``x`` (2 to 5), 2D from there on (Section 3.4)."""

    def __init__(self, depth: int, x: int, **kwargs: Any) -> None:
        super().__init__(depth, mixed('3D', '2D', x), **kwargs)


class RMCx(VideoResNet):
    """rMCx: 2D convolutions below group ``x`` (2 to 5), 3D from there on (Section 3.4)."""

    def __init__(self, depth: int, x: int, **kwargs: Any) -> None:
        super().__init__(depth, mixed('2D', '3D', x), **kwargs)


class R2Plus1D(VideoResNet):
    """R(2+1)D: (2+1)D convolutions (Section 3.5).

    ``midplanes`` selects the channels from which the mid channels M_i are computed: ``'layer'``
    uses the channels of each convolution, as in the paper; ``'block'`` uses the channels of the
    residual block, as in torchvision and its public weights.
    """

    def __init__(self, depth: int, midplanes: Midplanes = 'layer', **kwargs: Any) -> None:
        super().__init__(depth, ['(2+1)D'] * 5, midplanes=midplanes, **kwargs)


def pretrained_by_us(init_cfg: dict[str, Any]) -> dict[str, Any]:
    """Replace MMEngine's ``Pretrained`` by ours, which finds a backbone without a prefix."""
    if init_cfg.get('type') != 'Pretrained':
        return init_cfg
    return dict(type='r21d_plugin.Pretrained', checkpoint=init_cfg['checkpoint'])


def mixed(below: str, from_x: str, x: int) -> list[str]:
    """Return the forms of the five groups, which change at group x."""
    check_choice('x', x, range(2, 6))
    return [below] * (x - 1) + [from_x] * (6 - x)


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise an InputError if an argument is not one of its choices."""
    if value not in (known := list(choices)):
        raise InputError(f'{name}={value!r}: use one of {known}')

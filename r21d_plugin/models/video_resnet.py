"""The paper's family of video ResNets, as ordinary modules of PyTorch.

A network is a depth and the form of each of its five groups of convolutions (Figure 1, Table 1)::

    network   conv1    conv2_x  conv3_x  conv4_x  conv5_x
    f-R2D     2D       2D       2D       2D       2D
    MC3       3D       3D       2D       2D       2D
    rMC3      2D       2D       3D       3D       3D
    R3D       3D       3D       3D       3D       3D
    R(2+1)D   (2+1)D   (2+1)D   (2+1)D   (2+1)D   (2+1)D

R2D is f-R2D after a conv1 that spans all frames. What the paper leaves open (batch norm's
epsilon, conv1's mid channels, strides of the mixed networks) follows the authors' release,
https://github.com/facebookresearch/VMZ.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.utils.checkpoint import checkpoint

from .._errors import InputError
from .layers import FORMS, STEM_MIDPLANES, ConvSpec, NormLayer, conv_over_clip, factorized_channels

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Residual blocks of conv2_x to conv5_x by depth (Table 1)."""

NORM_CFG = dict(type='BN3d', eps=1e-3)
"""Batch norm as the authors trained it (momentum 0.1 in PyTorch's terms)."""

BATCH_NORMS = (nn.BatchNorm3d, nn.SyncBatchNorm)

Midplanes = Literal['layer', 'block']


def norm_layer(norm_cfg: dict) -> NormLayer:
    """Return what builds the layers of a config; MMCV builds all types but ``BN3d``."""
    arguments = dict(norm_cfg)
    if arguments.pop('type') == 'BN3d' and 'requires_grad' not in arguments:
        return partial(nn.BatchNorm3d, **arguments)
    from mmcv.cnn import build_norm_layer

    return lambda channels: build_norm_layer(norm_cfg, channels)[1]


def make_stem(
    form: str, in_channels: int, channels: int, norm: NormLayer, clip_len: int | None
) -> nn.Sequential:
    """conv1: ``x -> 3x7x7 convolution, stride 1x2x2 -> norm -> ReLU``."""
    mid_channels = max(1, STEM_MIDPLANES * channels // 64)
    spec = ConvSpec(in_channels, channels, mid_channels, norm, (3, 7, 7), (1, 2, 2))
    conv = conv_over_clip(spec, clip_len) if clip_len else FORMS[form](spec)
    # A (2+1)D convolution spreads over the stem, as in torchvision's keys.
    convs = conv if isinstance(conv, nn.Sequential) else [conv]
    return nn.Sequential(*convs, norm(channels), nn.ReLU(inplace=True))


class BasicBlock(nn.Module):
    """Vanilla residual block of two 3x3x3 convolutions (Equation 1).

    ``x -> conv -> norm -> ReLU -> conv -> norm -> (+ shortcut) -> ReLU``

    The shortcut is the identity or, where channels or size change, a 1x1x1 convolution and norm.
    ``form`` is a key of :data:`.layers.FORMS`; the first convolution has the ``stride``.
    """

    def __init__(
        self,
        form: str,
        in_channels: int,
        channels: int,
        stride: tuple[int, int, int],
        midplanes: Midplanes,
        norm: NormLayer,
        with_cp: bool,
    ) -> None:
        super().__init__()
        build = FORMS[form]
        first_mid = factorized_channels(in_channels, channels)
        second_mid = factorized_channels(channels, channels) if midplanes == 'layer' else first_mid
        first = ConvSpec(in_channels, channels, first_mid, norm, stride=stride)
        second = ConvSpec(channels, channels, second_mid, norm)
        self.conv1 = nn.Sequential(build(first), norm(channels), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(build(second), norm(channels))
        self.downsample: nn.Module = nn.Identity()
        if in_channels != channels or stride != (1, 1, 1):
            shortcut = ConvSpec(in_channels, channels, 0, norm, (1, 1, 1), stride)
            self.downsample = nn.Sequential(FORMS['3D'](shortcut), norm(channels))
        self.relu = nn.ReLU(inplace=True)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x T x H x W to N x C' x T' x H' x W'."""
        if not torch.jit.is_scripting() and self.with_cp:
            return self.relu(self.recomputed(x))
        return self.relu(self.residual(x))

    def residual(self, x: Tensor) -> Tensor:
        """z_{i-1} + F(z_{i-1}) of Equation 1."""
        return self.conv2(self.conv1(x)).add_(self.downsample(x))

    @torch.jit.unused
    def recomputed(self, x: Tensor) -> Tensor:
        """:meth:`residual`, with activations recomputed in the backward pass."""
        if not torch.is_grad_enabled():
            return self.residual(x)
        if torch.compiler.is_compiling():  # a compiled graph updates running statistics once
            return checkpoint(self.residual, x, use_reentrant=False)
        contexts = lambda: (nullcontext(), running_stats_kept(self))  # noqa: E731
        return checkpoint(self.residual, x, use_reentrant=False, context_fn=contexts)


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
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)


class VideoResNet(nn.Module):
    """A video ResNet whose five groups of convolutions each have a form.

    Input: normalised clips, N x C x T x H x W. Output: a feature map, N x C' x T' x H' x W'.

    Args:
        depth (int): Layers, 18 or 34.
        forms (Sequence[str]): Forms of conv1 and conv2_x to conv5_x, keys of :data:`.layers.FORMS`.
        in_channels (int): Channels of the input, 3 for RGB or 2 for optical flow. Defaults to 3.
        base_channels (int): Filters of conv1 and conv2_x, doubled by each later group. Defaults to
            64.
        out_indices (Sequence[int]): Groups whose feature maps are returned, 0 (conv2_x) to 3
            (conv5_x); a tuple if there are several. Defaults to ``(3, )``.
        frozen_stages (int): Groups to freeze, parameters and batch norm: -1 for none, 0 for conv1,
            n for conv1 to conv{n+1}_x. Defaults to -1.
        norm_eval (bool): Use batch norm's running statistics in training too. Defaults to False.
        norm_cfg (dict, optional): Normalisation layer. Defaults to ``dict(type='BN3d', eps=1e-3)``,
            as the authors trained.
        with_cp (bool): Save memory by recomputing activations in the backward pass. Defaults to
            False.
        midplanes (str): See :class:`R2Plus1D`. Defaults to ``'layer'``.
        clip_len (int, optional): Frames of a clip, which R2D's conv1 spans. Defaults to None: conv1
            spans 3 frames or one.
        init_cfg (dict or list[dict], optional): Initialisation by MMEngine, such as
            ``dict(type='r21d_plugin.Pretrained', checkpoint=...)`` for weights of any public form.
            Defaults to None: MSRA, as in the paper (https://arxiv.org/abs/1502.01852).
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
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        midplanes: Midplanes = 'layer',
        clip_len: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__()
        check_choice('depth', depth, DEPTHS)
        check_choice('frozen_stages', frozen_stages, range(-1, 5))
        check_choice('midplanes', midplanes, ('layer', 'block'))
        check_whole('in_channels', in_channels)
        check_whole('base_channels', base_channels)
        if not out_indices or not set(out_indices) <= set(range(4)):
            raise InputError(f'out_indices={out_indices!r}: choose from 0 (conv2_x) to 3 (conv5_x)')
        self.depth = depth
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.clip_len = clip_len
        self.init_cfg = init_cfg
        self.norm_eps_is_given = norm_cfg is not None and 'eps' in norm_cfg

        norm = norm_layer(NORM_CFG if norm_cfg is None else norm_cfg)
        self.stem = make_stem(forms[0], in_channels, base_channels, norm, clip_len)
        layers = []
        in_channels = base_channels
        for group, (form, blocks) in enumerate(zip(forms[1:], DEPTHS[depth], strict=True)):
            channels = base_channels * 2**group
            layer = nn.Sequential()
            for i in range(blocks):
                step = 2 if group > 0 and i == 0 else 1
                stride = (1 if form == '2D' else step, step, step)
                layer.append(
                    BasicBlock(form, in_channels, channels, stride, midplanes, norm, with_cp)
                )
                in_channels = channels
            layers.append(layer)
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.num_features = channels
        initialize(self)
        self._freeze_stages()
        self.register_state_dict_post_hook(note_norm_eps)

    @torch.jit.unused  # type: ignore[prop-decorator]
    @property
    def groups(self) -> list[nn.Module]:
        """conv1, conv2_x, ..., conv5_x."""
        return [self.stem, self.layer1, self.layer2, self.layer3, self.layer4]

    def forward_features(self, x: Tensor) -> Tensor:
        """Compute the feature map of conv5_x, N x num_features x T' x H' x W'."""
        if not torch.jit.is_scripting():
            self.check_clips(x)
        x = self.stem(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        return self.layer4(x)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the feature maps of ``out_indices``; a scripted network has conv5_x's alone."""
        if torch.jit.is_scripting():
            assert len(self.out_indices) == 1, 'a scripted network gives one feature map'
            assert self.out_indices[0] == 3, 'a scripted network gives that of conv5_x'
            return self.forward_features(x)
        return self.feature_maps(x)

    @torch.jit.unused
    def feature_maps(self, x: Tensor) -> Any:
        """Compute the feature map of one group, or a tuple of several."""
        self.check_clips(x)
        features = []
        x = self.stem(x)
        for index, layer in enumerate(self.groups[1 : max(self.out_indices) + 2]):
            x = layer(x)
            if index in self.out_indices:
                features.append(x)
        return features[0] if len(features) == 1 else tuple(features)

    @torch.jit.unused
    def check_clips(self, x: Tensor) -> None:
        """Raise InputError for clips of another length than R2D's conv1 spans."""
        if self.clip_len is None or isinstance(x, fx.Proxy) or x.shape[2] == self.clip_len:
            return
        raise InputError(
            f'R2D was built for clips of {self.clip_len} frames and got {x.shape[2]}: '
            'make its clip_len equal to that of the pipeline'
        )

    def set_norm_eps(self, eps: float) -> bool:
        """Set batch norm's epsilon, unless ``norm_cfg`` names one; return whether it has this."""
        if not self.norm_eps_is_given:
            for module in self.modules():
                if isinstance(module, BATCH_NORMS):
                    module.eps = eps
        return norm_eps(self) == eps

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, or as in the paper: MMEngine's runner calls this."""
        if self.init_cfg is None:
            initialize(self)
            return
        from mmengine.model import initialize as initialize_by_cfg

        initialize_by_cfg(self, self.init_cfg)

    def train(self, mode: bool = True) -> 'VideoResNet':
        """Set the mode; frozen groups and norms stay in evaluation mode."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, BATCH_NORMS):
                    module.eval()
        return self

    def _freeze_stages(self) -> None:
        for group in self.groups[: self.frozen_stages + 1]:
            group.eval()
            group.requires_grad_(False)


def initialize(network: nn.Module) -> None:
    """MSRA initialisation of convolutions; norms start as the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
        elif isinstance(module, BATCH_NORMS):
            module.reset_parameters()


def norm_eps(network: nn.Module) -> float | None:
    """Epsilon of a network's batch norm; None if it has none."""
    return next((m.eps for m in network.modules() if isinstance(m, BATCH_NORMS)), None)


def note_norm_eps(network: nn.Module, state_dict: dict, prefix: str, metadata: dict) -> None:
    """Write the epsilon of batch norm into a state dict's metadata, which saving keeps."""
    metadata['norm_eps'] = norm_eps(network)


def check_choice(name: str, value: Any, choices: Iterable) -> None:
    """Raise InputError if an argument is not one of its choices."""
    if value not in (known := list(choices)):
        raise InputError(f'{name}={value!r}: use one of {known}')


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Raise InputError if an argument is not a whole number from ``least`` on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f'{name}={value!r}: use a whole number from {least} on')

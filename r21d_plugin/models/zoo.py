"""The networks by name, for people without configs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.model import initialize
from torch import Tensor, nn

from .._errors import InputError
from ..registry import MODELS
from ..weights import (
    PublicWeights,
    Published,
    find_weights,
    load_matching,
    load_state_dict_of,
    understand,
)
from .video_resnet import DEPTHS, VideoResNet

CLIP_LEN = {18: 8, 34: 32}
"""Frames of a clip in the paper's tables, by depth."""


def _networks() -> dict[str, dict]:
    families: dict[str, dict] = {
        'r2d': dict(type='R2D'),
        'fr2d': dict(type='FR2D'),
        'r3d': dict(type='R3D'),
        **{f'mc{x}': dict(type='MCx', x=x) for x in range(2, 6)},
        **{f'rmc{x}': dict(type='RMCx', x=x) for x in range(2, 6)},
        'r2plus1d': dict(type='R2Plus1D'),
    }
    return {
        f'{name}_{depth}': dict(cfg, depth=depth)
        for depth in DEPTHS
        for name, cfg in families.items()
    }


NETWORKS: Mapping[str, dict] = _networks()
"""Backbone config of every network of the paper, in the order of Table 2."""


def list_models() -> list[str]:
    """Names that :func:`create_model` takes."""
    return list(NETWORKS)


def backbone_cfg(name: str, clip_len: int | None = None) -> dict:
    """Config of a backbone by name.

    Args:
        name (str): One of :func:`list_models`.
        clip_len (int, optional): Frames of a clip, which only R2D depends on.
            Defaults to the clip length of the paper's table: 8 at 18 layers,
            32 at 34.

    Raises:
        InputError: If there is no such network.
    """
    if name not in NETWORKS:
        raise InputError(f'no network {name!r}: choose from {", ".join(NETWORKS)}')
    cfg = dict(NETWORKS[name])
    if cfg['type'] == 'R2D':
        cfg['clip_len'] = clip_len or CLIP_LEN[cfg['depth']]
    return cfg


class VideoClassifier(nn.Module):
    """``clips -> backbone -> average over (T, H, W) -> fully connected``.

    Args:
        backbone (VideoResNet): The backbone.
        num_classes (int): Classes.
    """

    def __init__(self, backbone: VideoResNet, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.fc = nn.Linear(backbone.feat_dim, num_classes)
        self.register_load_state_dict_pre_hook(understand)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised clips, N x C x T x H x W, to logits, N x classes."""
        return self.classify(self.backbone(x))

    def classify(self, feature: Tensor) -> Tensor:
        """Map the backbone's feature map, N x C x T x H x W, to logits."""
        return self.fc(feature.mean(dim=(2, 3, 4)))


def create_model(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    clip_len: int | None = None,
    weights: str | PublicWeights | None = None,
    **kwargs: Any,
) -> VideoClassifier:
    """Build a classifier from clips to logits.

    Args:
        name (str): One of :func:`list_models`, such as ``'r2plus1d_34'``.
        num_classes (int, optional): Classes. Defaults to those of public
            weights that are named, else 400 (Kinetics).
        in_channels (int, optional): Channels of the input: 3 for RGB, 2 for
            optical flow. Defaults to those of public weights, else 3.
        clip_len (int, optional): Frames of a clip. Only R2D depends on it.
            Defaults to those of public weights, else 8 at 18 layers and 32 at
            34.
        weights (str or PublicWeights, optional): Weights of this very network:
            a checkpoint, file or URL, as training writes it or as torchvision,
            ig65m-pytorch or VMZ publish theirs, or the name of public ones,
            such as ``'ig65m_kinetics_32f'``, which are downloaded once.
            Defaults to None: initialised as in the paper.
        **kwargs: Further arguments of the backbone, such as
            ``midplanes='block'`` for torchvision's R(2+1)D.

    Returns:
        VideoClassifier: A plain module that maps normalised clips, N x C x T x H x W, to logits,
        N x num_classes.

    Raises:
        InputError: If there is no such network or no such weights, or the
            weights are another network's.
    """
    public = public_weights(name, weights)
    if public is not None:
        num_classes = num_classes or public.classes
        in_channels = in_channels or public.in_channels
        clip_len = clip_len or public.clip_len
        kwargs = {**public.arguments, **kwargs}
        weights = public.url
    cfg = dict(backbone_cfg(name, clip_len), in_channels=in_channels or 3, **kwargs)
    backbone = MODELS.build(cfg)
    model = VideoClassifier(backbone, num_classes or 400)
    if weights is None:
        initialize(backbone, backbone.init_cfg)
        nn.init.normal_(model.fc.weight, std=0.01)
        nn.init.zeros_(model.fc.bias)
    else:
        load_matching(model, load_state_dict_of(str(weights)), str(weights))
    return model


def public_weights(network: str, weights: str | PublicWeights | None) -> Published | None:
    """The public weights that are meant, if any.

    Raises:
        InputError: If there are none of that name for this network.
    """
    if isinstance(weights, PublicWeights):
        if weights.value.network != network:
            raise InputError(f'{weights}: weights of {weights.value.network}, not {network}')
        return weights.value
    if weights is None or '/' in weights or Path(weights).suffix or Path(weights).exists():
        return None
    backbone_cfg(network)  # names the networks if there is none of this name
    return find_weights(network, weights)

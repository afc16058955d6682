"""Build networks by name, without configs: :func:`create_model`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .._errors import InputError, check_whole
from .._norm_eps import keep_norm_eps_in_state_dicts
from ..weights import PublicWeights, find_weights, load_matching, read_weights
from ..weights.formats import StateDict, infer_network
from . import video_resnet
from .video_resnet import VideoResNet, check_choice

CLIP_LEN = {18: 8, 26: 8, 34: 32, 50: 32, 101: 32, 152: 32}
"""Frames per clip by depth, from the paper's tables (18 and 34) and the authors' release."""


def family(depth: int) -> dict[str, dict[str, Any]]:
    """Return the backbone configs of one depth by name, in the order of Table 2."""
    return {
        f'r2d_{depth}': dict(type='R2D', depth=depth, clip_len=CLIP_LEN[depth]),
        f'fr2d_{depth}': dict(type='FR2D', depth=depth),
        f'r3d_{depth}': dict(type='R3D', depth=depth),
        **{f'mc{x}_{depth}': dict(type='MCx', depth=depth, x=x) for x in range(2, 6)},
        **{f'rmc{x}_{depth}': dict(type='RMCx', depth=depth, x=x) for x in range(2, 6)},
        f'r2plus1d_{depth}': dict(type='R2Plus1D', depth=depth),
    }


NETWORKS: Mapping[str, dict[str, Any]] = {
    name: cfg for depth in video_resnet.DEPTHS for name, cfg in family(depth).items()
}
"""Backbone configs of the paper's networks, at the paper's and the release's depths, by name."""


def list_models(depth: int | None = None) -> list[str]:
    """List the names that :func:`create_model` takes: twelve networks for one depth or each."""
    if depth is None:
        return list(NETWORKS)
    check_choice('depth', depth, video_resnet.DEPTHS)
    return list(family(depth))


def backbone_cfg(name: str, clip_len: int | None = None) -> dict[str, Any]:
    """Return a backbone config by name; ``clip_len`` (R2D only) defaults to the paper's."""
    if name not in NETWORKS:
        *deeper, deepest = list(video_resnet.DEPTHS)[1:]
        names = f'{", ".join(family(18))}, or the same with {", ".join(map(str, deeper))}'
        raise InputError(f'no network {name!r}: choose from {names} or {deepest} layers')
    cfg = dict(NETWORKS[name])
    if clip_len is not None:
        check_whole('clip_len', clip_len)
        if 'clip_len' in cfg:
            cfg['clip_len'] = clip_len
    return cfg


class Classifier(VideoResNet):
    """A backbone with a head: ``conv5_x -> average over (T, H, W) -> fully connected``.

    The classifier takes over the backbone's modules and attributes, so all modules have
    torchvision's names. ``categories`` are the class names stored with the weights, or empty.
    """

    def __init__(self, backbone: VideoResNet, num_classes: int, drop_rate: float = 0.0) -> None:
        nn.Module.__init__(self)
        vars(self).update({k: v for k, v in vars(backbone).items() if not k.endswith('_hooks')})
        keep_norm_eps_in_state_dicts(self)
        self.drop_rate = drop_rate
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier; with 0 classes the network returns pooled features."""
        check_whole('num_classes', num_classes, least=0)
        self.num_classes = num_classes
        self.categories: tuple[str, ...] = ()
        self.fc: nn.Module = nn.Identity()
        if num_classes:
            classifier = nn.Linear(self.num_features, num_classes).to(next(self.parameters()))
            nn.init.normal_(classifier.weight, std=0.01)
            nn.init.zeros_(classifier.bias)
            self.fc = classifier

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Classify the output of :meth:`forward_features`; with ``pre_logits``, only pool it."""
        pooled = F.dropout(features.mean(dim=(2, 3, 4)), self.drop_rate, self.training)
        return pooled if pre_logits else self.fc(pooled)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised clips, N x C x T x H x W, to logits, N x classes."""
        return self.forward_head(self.forward_features(x))


def create_model(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    clip_len: int | None = None,
    weights: str | Path | PublicWeights | None = None,
    *,
    drop_rate: float = 0.0,
    features_only: bool = False,
    **kwargs: Any,
) -> Any:
    """Build a network that maps normalised clips, N x C x T x H x W, to logits, N x num_classes.

    If ``num_classes`` differs from that of the weights, the classifier is initialised anew. If
    ``in_channels`` differs, conv1 is adapted (its channels are summed, or repeated and rescaled).
    The log reports both.

    Args:
        name (str): One of :func:`list_models`, such as ``'r2plus1d_34'``.
        num_classes (int, optional): Number of classes. With 0 there is no classifier, and the
            output is N x num_features. Defaults to the number in the weights, else 400.
        in_channels (int, optional): Input channels: 3 for RGB, 2 for optical flow. Defaults to the
            number in the weights, else 3.
        clip_len (int, optional): Frames per clip. Only R2D depends on it. Defaults to the length in
            the weights, else 8 for 18 and 26 layers and 32 for deeper networks.
        weights (str, Path or PublicWeights, optional): A checkpoint (file or URL) written by
            training or published by torchvision, ig65m-pytorch or VMZ, or the name of public
            weights, such as ``'ig65m_kinetics_32f'``, which are downloaded once. Batch norm gets
            the epsilon of the weights, unless ``norm_cfg`` names one. Defaults to None:
            initialised as in the paper.
        drop_rate (float): Probability of dropout before the classifier. Defaults to 0.
        features_only (bool): Build the backbone only, which returns the feature maps of the groups
            in ``out_indices``. Defaults to False.
        **kwargs: Further arguments of the backbone, such as ``out_indices``, or
            ``midplanes='block'`` for torchvision's R(2+1)D.

    Returns:
        VideoResNet: The network, an ordinary module.

    Raises:
        InputError: If the network or the weights are unknown, an argument is invalid, or the
            weights belong to another network.
    """
    if features_only and num_classes:
        raise InputError(f'num_classes={num_classes}: features_only=True has no classifier')
    if features_only and drop_rate:
        raise InputError(f'drop_rate={drop_rate}: features_only=True has no classifier')
    if not features_only and 'out_indices' in kwargs:
        raise InputError(f'out_indices={kwargs["out_indices"]}: needs features_only=True')
    cfg = backbone_cfg(name, clip_len)
    source = '' if weights is None else find_source(name, weights)
    found = read_weights(source) if source else None
    asked = dict(num_classes=num_classes, in_channels=in_channels, clip_len=clip_len)
    shape = dict(cfg, num_classes=cfg.get('num_classes', 400))
    if found:
        shape.update(infer_network(found.tensors))
    shape.update({key: value for key, value in asked.items() if value is not None})
    keys = (*cfg, 'in_channels', 'base_channels', 'midplanes')
    cfg = {key: shape[key] for key in keys if key in shape}
    cfg.update(kwargs)
    model: VideoResNet = getattr(video_resnet, cfg.pop('type'))(**cfg)
    if not features_only:
        model = Classifier(model, shape['num_classes'], drop_rate)
    if found:
        load_matching(model, found, source, head='any')
    if found and isinstance(model, Classifier) and len(found.classes) == model.num_classes:
        model.categories = found.classes
    return model


def network_of(tensors: StateDict) -> str:
    """Infer a network's name from tensors with torchvision's names; empty if it is not ours."""
    title = infer_network(tensors).get('network', '')
    name = title.lower().replace('(2+1)', '2plus1').replace('f-r', 'fr').replace('-', '_')
    return name if name in NETWORKS else ''


def find_source(network: str, weights: str | Path | PublicWeights) -> str:
    """Return the file or URL of weights, given a file, a URL or public weights of a network."""
    if isinstance(weights, PublicWeights):
        if weights.value.network != network:
            raise InputError(f'{weights}: weights of {weights.value.network}, not {network}')
        url: str = weights.value.url
        return url
    if '/' in str(weights) or Path(weights).suffix or Path(weights).exists():
        return str(weights)
    return find_weights(network, str(weights)).url

"""The networks by name, for people without configs."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from .._errors import InputError
from ..weights import (
    PublicWeights,
    Published,
    find_weights,
    load_matching,
    load_state_dict_of,
)
from ..weights.architecture import infer_network
from ..weights.formats import Weights, identify
from ..weights.loading import load_converted
from .networks import FR2D, R2D, R3D, MCx, R2Plus1D, RMCx
from .video_resnet import DEPTHS, VideoResNet

CLIP_LEN = {18: 8, 34: 32}
"""Frames of a clip in the paper's tables, by depth."""

logger = logging.getLogger('r21d_plugin')


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

BACKBONES: dict[str, type[VideoResNet]] = {
    cls.__name__: cls for cls in (R2D, FR2D, R3D, MCx, RMCx, R2Plus1D)
}


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
        cfg['clip_len'] = CLIP_LEN[cfg['depth']] if clip_len is None else clip_len
    return cfg


class Classifier(VideoResNet):
    """Mixed into a network of the family: ``conv5_x -> average over (T, H, W) -> fully connected``.

    The modules have torchvision's names: ``stem``, ``layer1`` to ``layer4``, ``fc``.
    """

    num_classes: int
    drop_rate: float

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new classifier in place of the old one.

        Args:
            num_classes (int): Classes; 0: none, the output is pooled features.

        Raises:
            InputError: If it is negative or no whole number.
        """
        check_whole('num_classes', num_classes, least=0)
        self.num_classes = num_classes
        self.fc: nn.Module = nn.Identity()
        if num_classes:
            stem: Any = self.stem[0]
            classifier = nn.Linear(self.num_features, num_classes).to(stem.weight)
            nn.init.normal_(classifier.weight, std=0.01)
            nn.init.zeros_(classifier.bias)
            self.fc = classifier

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Classify a feature map.

        Args:
            features (Tensor): Output of :meth:`forward_features`, N x C x T x H x W.
            pre_logits (bool): Whether to leave out the classifier. Defaults to
                False.

        Returns:
            Tensor: Logits, N x classes, or pooled features, N x C.
        """
        pooled = F.dropout(features.mean(dim=(2, 3, 4)), self.drop_rate, self.training)
        return pooled if pre_logits else self.fc(pooled)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised clips, N x C x T x H x W, to logits, N x classes."""
        return self.forward_head(self.forward_features(x))


CLASSIFIERS: dict[str, type] = {
    name: type(f'{name}Classifier', (Classifier, cls), {'__module__': __name__})
    for name, cls in BACKBONES.items()
}
globals().update({cls.__name__: cls for cls in CLASSIFIERS.values()})  # so that they pickle


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

    What the weights say is taken wherever an argument is left out. Where
    ``num_classes`` or ``in_channels`` differ from them, the classifier is new,
    or conv1 adapted (channels summed, or repeated with the scale kept), and
    the log says so.

    Args:
        name (str): One of :func:`list_models`, such as ``'r2plus1d_34'``.
        num_classes (int, optional): Classes; 0: no classifier, the output is
            N x num_features. Defaults to those of the weights, else 400.
        in_channels (int, optional): Channels of the input: 3 for RGB, 2 for
            optical flow. Defaults to those of the weights, else 3.
        clip_len (int, optional): Frames of a clip. Only R2D depends on it.
            Defaults to those of the weights, else 8 at 18 layers and 32 at 34.
        weights (str, Path or PublicWeights, optional): A checkpoint, file or
            URL, as training writes it or as torchvision, ig65m-pytorch or VMZ
            publish theirs, or the name of public ones, such as
            ``'ig65m_kinetics_32f'``, which are downloaded once. Batch norm
            gets their epsilon, unless ``norm_cfg`` names one. Defaults to
            None: initialised as in the paper.
        drop_rate (float): Probability of dropout before the classifier, of
            which the paper uses none. Defaults to 0.
        features_only (bool): Whether to build the backbone alone, which gives
            the feature maps of the groups in ``out_indices``. Defaults to False.
        **kwargs: Further arguments of the backbone, such as ``out_indices``,
            or ``midplanes='block'`` for torchvision's R(2+1)D.

    Returns:
        VideoResNet: The network, an ordinary module.

    Raises:
        InputError: If there is no such network or no such weights, an argument
            makes no sense, or the weights are another network's.
    """
    cfg = backbone_cfg(name, clip_len)
    source, state_dict, found = read_weights(name, weights)
    shape = infer_network(found.tensors, source) if found else {}
    for key, value in (('clip_len', clip_len), ('in_channels', in_channels)):
        if value is not None:
            check_whole(key, value)
    cfg.update({k: shape[k] for k in ('midplanes', 'base_channels') if k in shape})
    if cfg['type'] == 'R2D' and clip_len is None:
        cfg['clip_len'] = shape.get('clip_len', cfg['clip_len'])
    if cfg['type'] != 'R2Plus1D':
        cfg.pop('midplanes', None)
    cfg['in_channels'] = shape.get('in_channels', 3) if in_channels is None else in_channels
    cfg.update(kwargs)
    network = cfg.pop('type')
    if features_only:
        if num_classes:
            raise InputError(f'num_classes={num_classes}: features_only=True has no classifier')
        model = BACKBONES[network](**cfg)
    else:
        model = CLASSIFIERS[network](**cfg)
        model.drop_rate = drop_rate
        model.reset_classifier(
            shape.get('num_classes', 400) if num_classes is None else num_classes
        )
    if found is not None:
        tensors = fit_classifier_and_stem(model, found.tensors)
        load_converted(model, tensors, found, source, ignore='fc.')
    elif state_dict is not None:
        load_matching(model, state_dict, source)
    return model


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Check that an argument is a whole number from some number on.

    Raises:
        InputError: If it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f'{name}={value!r}: use a whole number from {least} on')


def read_weights(
    network: str, weights: str | Path | PublicWeights | None
) -> tuple[str, Mapping[str, Tensor] | None, Weights | None]:
    """Read weights.

    Returns:
        tuple: Where they come from, the state dict as it is in the file, and
        what it was identified as; None where there is nothing.
    """
    if weights is None:
        return '', None, None
    public = public_weights(network, weights)
    source = str(weights) if public is None else public.url
    state_dict = load_state_dict_of(source)
    return source, state_dict, identify(state_dict, source)


def fit_classifier_and_stem(model: VideoResNet, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights for a network that may have other classes and input channels than they had.

    Returns:
        dict[str, Tensor]: The weights, conv1 adapted, without a classifier that
        does not fit.
    """
    own = model.state_dict()
    fitted = dict(tensors)
    for key in ('fc.weight', 'fc.bias'):
        if key in fitted and (key not in own or own[key].shape != fitted[key].shape):
            del fitted[key]
    if 'fc.weight' in own and 'fc.weight' not in fitted:
        logger.info('classifier: new, of %d classes', len(own['fc.weight']))
    first = 'stem.0.weight'
    given, wanted = fitted[first].shape[1:2], own[first].shape[1:2]
    if given != wanted and fitted[first].shape[2:] == own[first].shape[2:]:
        fitted[first] = adapt_channels(fitted[first], *wanted)
        logger.info('conv1: adapted from %d to %d input channels', *given, *wanted)
    return fitted


def adapt_channels(weight: Tensor, channels: int) -> Tensor:
    """Weights of a convolution for another number of input channels, as timm adapts them.

    Summed for one channel; for more, repeated in turn and scaled by given / wanted, so that
    activations keep their scale.
    """
    given = weight.shape[1]
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, -(-channels // given), 1, 1, 1)[:, :channels]
    return repeated * (given / channels)


def public_weights(network: str, weights: str | Path | PublicWeights) -> Published | None:
    """The public weights that are meant, if any.

    Raises:
        InputError: If there are none of that name for this network.
    """
    if isinstance(weights, PublicWeights):
        if weights.value.network != network:
            raise InputError(f'{weights}: weights of {weights.value.network}, not {network}')
        return weights.value
    name = str(weights)
    if '/' in name or Path(name).suffix or Path(name).exists():
        return None
    return find_weights(network, name)

"""Check that the parts of a recognizer fit together, before PyTorch reports a shape mismatch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from .._errors import InputError, check_whole
from .video_resnet import VideoResNet


class Stream(NamedTuple):
    """A network of a recognizer, and the preprocessor that normalises its input."""

    inputs: str  # name of its input clips, 'imgs' or 'flow'
    key: str  # config key of the network
    network: VideoResNet
    preprocessor_key: str
    preprocessor: Any


def streams_of(model: nn.Module) -> Iterator[Stream]:
    """Yield this package's networks in any recognizer: one, or two for two streams."""
    backbone = getattr(model, 'backbone', None)
    preprocessor = getattr(model, 'data_preprocessor', None)
    key = 'model.data_preprocessor'
    if isinstance(backbone, VideoResNet):
        yield Stream('imgs', 'model.backbone', backbone, key, preprocessor)
        return
    for inputs, name in (('imgs', 'rgb'), ('flow', 'flow')):
        if isinstance(network := getattr(backbone, name, None), VideoResNet):
            of_stream = getattr(getattr(preprocessor, 'preprocessors', None), inputs, None)
            parts = (f'{key}.preprocessors.{inputs}', of_stream)
            yield Stream(inputs, f'model.backbone.{name}', network, *parts)


def check_parts(model: nn.Module) -> None:
    """Raise an InputError that names two conflicting keys of a recognizer's config.

    The channels of the backbone's output must match the head, and those of its input must match the
    normalisation. Recognizers without a backbone of this package are not checked.
    """
    for stream in streams_of(model):
        check_normalization(stream)
        check_format(stream)
        check_blending(stream)
        if getattr(model, 'neck', None) is None:
            check_head(stream, getattr(model, 'cls_head', None))


def check_normalization(stream: Stream) -> None:
    """Check that mean and std have one number, or as many as in_channels."""
    channels = stream.network.in_channels
    for name in ('mean', 'std'):
        numbers = getattr(stream.preprocessor, name, None)
        if numbers is not None and numbers.numel() not in (1, channels):
            raise InputError(
                f'{stream.preprocessor_key}.{name} has {numbers.numel()} numbers and '
                f'{stream.key}.in_channels={channels}: give one number for each channel'
            )


def check_format(stream: Stream) -> None:
    """Raise an InputError if the preprocessor's format is for single frames."""
    if getattr(stream.preprocessor, 'format_shape', None) == 'NCHW':
        raise InputError(
            f"{stream.preprocessor_key}.format_shape='NCHW' is for single frames and "
            f"{stream.key} takes clips: use 'NCTHW'"
        )


def check_blending(stream: Stream) -> None:
    """Raise an InputError if one of two streams would mix its clips with those of other videos."""
    if '.preprocessors.' in stream.preprocessor_key and getattr(
        stream.preprocessor, 'blending', None
    ):
        raise InputError(
            f'{stream.preprocessor_key}.blending: each stream would mix other videos: remove it'
        )


def check_head(stream: Stream, head: Any) -> None:
    """Check a head's num_classes, and its in_channels against the feature map's channels."""
    if (classes := getattr(head, 'num_classes', None)) is not None:
        check_whole('model.cls_head.num_classes', classes)  # other packages' heads do not check it
    network, wanted = stream.network, getattr(head, 'in_channels', None)
    if len(network.out_indices) > 1 or not isinstance(wanted, int):
        return
    channels = network.num_features // 2 ** (3 - network.out_indices[0])  # doubled by each group
    if channels != wanted:
        raise InputError(
            f'{stream.key} gives {channels} channels (base_channels={network.base_channels}, '
            f'out_indices={network.out_indices}) and model.cls_head.in_channels={wanted}: '
            f'set model.cls_head.in_channels={channels}'
        )

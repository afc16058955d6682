"""Check that the parts of a recognizer fit together, before a tensor tells in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from .._errors import InputError, check_whole
from .video_resnet import VideoResNet


class Stream(NamedTuple):
    """A network of a recognizer, and what its input is normalised by."""

    inputs: str  # name of its clips, 'imgs' or 'flow'
    key: str  # of the network in a config
    network: VideoResNet
    preprocessor_key: str
    preprocessor: Any


def streams_of(model: nn.Module) -> Iterator[Stream]:
    """Yield our networks in a recognizer, whosever the recognizer is: two of two streams."""
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
    """Raise an InputError that names two keys of a recognizer's config that disagree.

    It compares channels: of the backbone's output and the head, and of its input and the
    normalisation. What is not around a backbone of ours passes.
    """
    for stream in streams_of(model):
        check_normalization(stream)
        check_format(stream)
        if getattr(model, 'neck', None) is None:
            check_head(stream, getattr(model, 'cls_head', None))


def check_normalization(stream: Stream) -> None:
    """Compare the numbers of mean and std, 1 or one for each channel, with in_channels."""
    channels = stream.network.in_channels
    for name in ('mean', 'std'):
        numbers = getattr(stream.preprocessor, name, None)
        if numbers is not None and numbers.numel() not in (1, channels):
            raise InputError(
                f'{stream.preprocessor_key}.{name} has {numbers.numel()} numbers and '
                f'{stream.key}.in_channels={channels}: give one number for each channel'
            )


def check_format(stream: Stream) -> None:
    """Refuse the preprocessor's format of single frames."""
    if getattr(stream.preprocessor, 'format_shape', None) == 'NCHW':
        raise InputError(
            f"{stream.preprocessor_key}.format_shape='NCHW' is that of single frames and "
            f"{stream.key} takes clips: use 'NCTHW'"
        )


def check_head(stream: Stream, head: Any) -> None:
    """Compare in_channels of a head with the channels of the feature map; check its classes."""
    if (classes := getattr(head, 'num_classes', None)) is not None:
        check_whole('model.cls_head.num_classes', classes)  # of a head that does not check it
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

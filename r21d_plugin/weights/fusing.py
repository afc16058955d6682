"""One checkpoint of a two-stream network out of those of its streams."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from .._errors import InputError
from .files import load_state_dict_of
from .forms import EPS, Weights, recognise

CLASSIFIER = 'fc.weight'


def fuse_checkpoints(rgb: str, flow: str) -> dict:
    """Join the checkpoints of two streams that were trained apart.

    Args:
        rgb (str): Checkpoint (file or URL, of any public form) of the RGB stream.
        flow (str): Checkpoint of the flow stream.

    Returns:
        dict: Checkpoint of :class:`~r21d_plugin.models.TwoStreamRecognizer`:
        ``state_dict`` and ``meta``.

    Raises:
        InputError: If one is not the checkpoint of a recognizer, the first not
            of RGB, or their numbers of classes differ.
    """
    streams = dict(rgb=read_stream(rgb), flow=read_stream(flow))
    channels = streams['rgb'].tensors['stem.0.weight'].shape[1]
    if channels != 3:
        raise InputError(f'{rgb}: takes {channels} channels, not RGB: are the two swapped?')
    classes = {stream: len(weights.tensors[CLASSIFIER]) for stream, weights in streams.items()}
    if classes['rgb'] != classes['flow']:
        raise InputError(
            f'{rgb} has {classes["rgb"]} classes and {flow} {classes["flow"]}: '
            'both streams need the same'
        )
    fused: Any = OrderedDict(
        (fused_key, value)
        for stream, weights in streams.items()
        for fused_key, value in renamed(weights.tensors, stream)
    )
    fused._metadata = {
        f'backbone.{stream}': dict(norm_eps=EPS if weights.eps is None else weights.eps)
        for stream, weights in streams.items()
    }
    return dict(state_dict=fused, meta=dict(rgb=rgb, flow=flow))


def read_stream(path: str) -> Weights:
    """Weights of one stream.

    Raises:
        InputError: If they are anything else.
    """
    weights = recognise(load_state_dict_of(path), path)
    if weights is None or not {CLASSIFIER, 'stem.0.weight'} <= weights.tensors.keys():
        raise InputError(
            f'{path}: not the weights of one stream with its classifier: name those of a test of it'
        )
    return weights


def renamed(tensors: dict[str, Tensor], stream: str) -> Iterator[tuple[str, Tensor]]:
    """Give the tensors of a stream the names that they have in the two-stream network."""
    for key, value in tensors.items():
        if key.startswith('fc.'):
            yield f'cls_head.classifiers.{stream}.fc_cls.{key.removeprefix("fc.")}', value
        else:
            yield f'backbone.{stream}.{key}', value

"""Write weights in other formats, and join those of two streams."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from .._errors import InputError
from .architecture import format_network, infer_network
from .checkpoint_files import load_state_dict_of, save_checkpoint
from .formats import EPS, Weights, add_prefixes, identify, published_eps


class Conversion(NamedTuple):
    """Report of a conversion."""

    source: str  # format of the source
    network: str  # the network and the arguments that shape it
    eps: float  # epsilon of batch norm that the result is for
    shift: float  # what was added to running variances for it


def to_r21d(weights: Weights, eps: float) -> tuple[dict, float]:
    """Checkpoint as training writes it: the same tensors, and their epsilon as metadata."""
    tensors = add_prefixes(weights.tensors, 'backbone.', 'cls_head.fc_cls.')
    return dict(state_dict=with_eps_noted(tensors, backbone=eps), meta={}), eps


def to_torchvision(weights: Weights, eps: float) -> tuple[dict, float]:
    """State dict as torchvision publishes it, at 34 layers ig65m-pytorch.

    Programs that read it fix the epsilon of batch norm, so the difference is added to running
    variances. One can become negative, but not its sum with the epsilon.
    """
    published = published_eps(weights.tensors)
    shifted = {
        key: value + (eps - published)
        if key.endswith('running_var') and eps != published
        else value
        for key, value in weights.tensors.items()
    }
    return shifted, published


WRITERS: dict[str, Callable[[Weights, float], tuple[dict, float]]] = {
    'r21d': to_r21d,
    'torchvision': to_torchvision,
}
"""Writer of each format: from weights and their epsilon to a checkpoint and its epsilon."""


def convert(source: str, path: Path, format: str) -> Conversion:
    """Convert weights.

    Args:
        source (str): Checkpoint (file or URL) of any public format.
        path (Path): File to write.
        format (str): ``'r21d'`` or ``'torchvision'``.

    Raises:
        InputError: If the source holds no network of this family with its classifier, or the
            result cannot be written.
    """
    weights = identify(load_state_dict_of(source), source)
    if weights is None or 'fc.weight' not in weights.tensors:
        raise InputError(f'{source}: no weights of a single network with its classifier')
    given = EPS if weights.eps is None else weights.eps
    checkpoint, eps = WRITERS[format](weights, given)
    save_checkpoint(checkpoint, path)
    network = format_network(infer_network(weights.tensors, source))
    return Conversion(weights.format, network, eps, given - eps)


def fuse_checkpoints(rgb: str, flow: str) -> dict:
    """Join the checkpoints of two streams that were trained apart.

    Args:
        rgb (str): Checkpoint (file or URL, of any public format) of the RGB stream.
        flow (str): Checkpoint of the flow stream.

    Returns:
        dict: Checkpoint of :class:`~r21d_plugin.models.TwoStreamRecognizer`: ``state_dict`` and
        ``meta``.

    Raises:
        InputError: If one is not the checkpoint of a network with its classifier, the first not
            of RGB, or their numbers of classes differ.
    """
    streams = dict(rgb=read_stream(rgb), flow=read_stream(flow))
    channels = streams['rgb'].tensors['stem.0.weight'].shape[1]
    if channels != 3:
        raise InputError(f'{rgb}: takes {channels} channels, not RGB: are the two swapped?')
    classes = {stream: len(weights.tensors['fc.weight']) for stream, weights in streams.items()}
    if classes['rgb'] != classes['flow']:
        raise InputError(
            f'{rgb} has {classes["rgb"]} classes and {flow} {classes["flow"]}: '
            'both streams need the same'
        )
    fused: dict[str, Tensor] = {}
    for stream, weights in streams.items():
        head = f'cls_head.classifiers.{stream}.fc_cls.'
        fused |= add_prefixes(weights.tensors, f'backbone.{stream}.', head)
    eps = {f'backbone.{stream}': weights.eps for stream, weights in streams.items()}
    return dict(state_dict=with_eps_noted(fused, **eps), meta=dict(rgb=rgb, flow=flow))


def read_stream(path: str) -> Weights:
    """Read weights of one stream with its classifier."""
    weights = identify(load_state_dict_of(path), path)
    if weights is None or not {'fc.weight', 'stem.0.weight'} <= weights.tensors.keys():
        raise InputError(
            f'{path}: not the weights of one stream with its classifier: name those of a test of it'
        )
    return weights


def with_eps_noted(tensors: Mapping[str, Tensor], **eps: float | None) -> OrderedDict[str, Tensor]:
    """State dict whose metadata note the epsilon of each backbone, as VideoResNet's do."""
    state_dict: Any = OrderedDict(tensors)
    state_dict._metadata = {
        path: dict(norm_eps=EPS if value is None else value) for path, value in eps.items()
    }
    return state_dict

"""One checkpoint of a two-stream network out of those of its streams."""

from collections.abc import Iterator

from mmengine.runner import CheckpointLoader
from torch import Tensor

from ..errors import InputError

CLASSIFIER = 'cls_head.fc_cls.weight'


def fuse_checkpoints(rgb: str, flow: str) -> dict:
    """Join the checkpoints of two streams that were trained apart.

    Args:
        rgb (str): Checkpoint (file or URL) of the RGB stream.
        flow (str): Checkpoint of the flow stream.

    Returns:
        dict: Checkpoint of :class:`~r21d_plugin.models.TwoStreamRecognizer`:
        ``state_dict`` and ``meta``.

    Raises:
        InputError: If one is not the checkpoint of a recognizer, the first not
            of RGB, or their numbers of classes differ.
    """
    streams = dict(rgb=read_stream(rgb), flow=read_stream(flow))
    channels = next(value.shape[1] for value in streams['rgb'].values() if value.ndim == 5)
    if channels != 3:
        raise InputError(f'{rgb}: takes {channels} channels, not RGB: are the two swapped?')
    classes = {stream: len(state_dict[CLASSIFIER]) for stream, state_dict in streams.items()}
    if classes['rgb'] != classes['flow']:
        raise InputError(
            f'{rgb} has {classes["rgb"]} classes and {flow} {classes["flow"]}: '
            'both streams need the same'
        )
    fused = {
        fused_key: value
        for stream, state_dict in streams.items()
        for fused_key, value in renamed(state_dict, stream)
    }
    return dict(state_dict=fused, meta=dict(rgb=rgb, flow=flow))


def read_stream(path: str) -> dict[str, Tensor]:
    """State dict of a recognizer of one stream.

    Raises:
        InputError: If it is anything else.
    """
    checkpoint = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
    state_dict = checkpoint.get('state_dict', checkpoint)
    if CLASSIFIER not in state_dict:
        raise InputError(
            f'{path}: no {CLASSIFIER}, so not the checkpoint of one stream as training writes it'
        )
    return state_dict


def renamed(state_dict: dict[str, Tensor], stream: str) -> Iterator[tuple[str, Tensor]]:
    """Give the tensors of a stream the names that they have in the two-stream network."""
    for key, value in state_dict.items():
        part, _, rest = key.partition('.')
        middle = dict(backbone=stream, cls_head=f'classifiers.{stream}').get(part)
        if middle is not None:
            yield f'{part}.{middle}.{rest}', value

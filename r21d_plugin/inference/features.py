"""Extract features of clips that slide along videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.dataset import pseudo_collate
from torch import Tensor

from .._errors import InputError, VideoInputError, escape_bytes
from ..datasets.video_files import Extraction, bytes_of
from ..models.parts import streams_of
from ..models.recognizer import computed_as_configured
from ..models.runtimes import runtime_and_dtype
from .feature_files import FeatureFolder
from .sliding_window import SlidingWindow, WindowScores, apply_to_clips
from .video_inputs import load_videos

LAYERS = ('conv2_x', 'conv3_x', 'conv4_x', 'conv5_x')
"""Groups of convolutions whose feature maps a network can return (``out_indices``)."""


def use_layer(model: BaseRecognizer, layer: str) -> None:
    """Make the networks of a recognizer return the feature map of one of :data:`LAYERS`.

    Raises an InputError for other packages' networks and for int8, which have one output.
    """
    streams = [stream.network for stream in streams_of(model)]
    if not streams or runtime_and_dtype(model.test_cfg)[1] == 'int8':
        what = 'int8 networks have' if streams else 'the backbones of other packages have'
        raise InputError(f'--layer {layer}: {what} one output: leave the option out')
    for network in streams:
        network.out_indices = (LAYERS.index(layer),)


def clip_features(model: BaseRecognizer, packed: dict[str, Any], keep_time: bool = False) -> Tensor:
    """Average feature maps of packed views over (T, H, W): views x C, RGB before flow.

    With ``keep_time``, average over (H, W) only: views x T x C.
    """
    inputs = pseudo_collate([packed])['inputs']
    batch = model.data_preprocessor(dict(inputs=inputs, data_samples=None), False)
    with computed_as_configured(model):
        maps = model(batch['inputs'], mode='tensor', stage='backbone')
    maps = maps if isinstance(maps, tuple) else (maps,)
    first = 3 if keep_time else 2
    averaged = [values.float().flatten(first).mean(first) for values in maps]
    return torch.cat([values.movedim(1, -1) for values in averaged], dim=-1)


def mean_of_segments(found: WindowScores, count: int) -> WindowScores:
    """Average the clips in each of ``count`` equal segments of a video: count x ...

    Segment i begins with clip ``int(i * clips / count)`` and has at least one clip, as in RTFM.
    With ``count=0`` the clips are returned as they are.
    """
    if not count:
        return found
    edges = np.linspace(0, len(found.values), count + 1, dtype=int)
    begins, ends = edges[:-1], np.maximum(edges[1:], edges[:-1] + 1)
    seconds = found.seconds
    if seconds is not None:
        seconds = np.stack([seconds[begins, 0], seconds[ends - 1, 1]], 1)
    return found._replace(
        values=np.stack([found.values[a:b].mean(0) for a, b in zip(begins, ends)]),
        starts=found.starts[begins],
        ends=found.ends[ends - 1],
        seconds=seconds,
    )


def path_of(video: Path) -> str:
    """Return the absolute path of a video, without links and in UTF-8."""
    return escape_bytes(video.resolve())


def extract_features(
    model: BaseRecognizer,
    window: SlidingWindow,
    videos: Mapping[str, Path],
    store: FeatureFolder,
    workers: int = 0,
    progress: Callable[[float], object] = lambda share: None,
    keep: tuple[str, ...] = (),
    segments: int = 0,
) -> Iterator[Extraction]:
    """Extract the features of videos, given by name, except those that are stored already.

    Features are clips x [crops x] [time x] channels; the axes in brackets exist if ``keep`` names
    them. With ``segments``, the first axis is segments instead of clips. ``workers`` processes
    decode (0: this process does); ``progress`` is described at :func:`apply_to_clips`. Yields the
    outcome of each video, in any order. Raises an InputError if features cannot be written.
    """
    missing: dict[Path, tuple[str, int]] = {}
    for name, video in videos.items():
        done = Extraction(video)
        try:
            video_bytes = bytes_of(video)
            if not store.has(name, path_of(video), video_bytes):
                missing[video] = name, video_bytes
                continue
        except VideoInputError as error:
            done = Extraction(video, error=str(error))
        progress(1.0)
        yield done
    batches = load_videos(window.batches, list(missing), workers)
    network = partial(clip_features, model, keep_time='time' in keep)
    for video, found in apply_to_clips(network, batches, progress, 'crops' in keep):
        if isinstance(found, InputError):
            yield Extraction(video, error=str(found))
            continue
        name, video_bytes = missing[video]
        found = mean_of_segments(found, segments)
        facts = dict(
            starts=found.starts.tolist(),
            ends=found.ends.tolist(),
            seconds=None if found.seconds is None else found.seconds.tolist(),
            frames=found.frames,
            fps=found.fps,
            video=path_of(video),
            video_bytes=video_bytes,
        )
        store.write(name, found.values, facts)
        yield Extraction(video, computed=True)

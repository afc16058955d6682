"""Features of the clips of many videos, computed once and stored."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor

from .._errors import InputError
from ..datasets.pipelines import with_sampling
from ..datasets.video_files import Extraction, bytes_of
from ..models.recognizer import precision_of
from .feature_store import Features, FeatureStore, Settings
from .sliding_window import ClipsOfVideos, SlidingClips, SlidingWindow, over_time
from .video_inputs import Failure, in_background, pipeline_of


def settings_of(
    cfg: Config, checkpoint: str, model: BaseRecognizer, sample: SlidingClips
) -> Settings:
    """What the features of a video depend on.

    Args:
        cfg (Config): The config.
        checkpoint (str): Where the weights come from.
        model (BaseRecognizer): The network, with its weights.
        sample (SlidingClips): What samples the clips.

    Returns:
        dict: ``config`` and ``checkpoint`` as they were named, ``clip_len`` and
        ``stride`` in frames, and a ``fingerprint`` of network, weights and
        pipeline.
    """
    # They do not depend on how many clips a test takes.
    pipeline = with_sampling(pipeline_of(cfg), num_clips=1)
    dtype = (model.test_cfg or {}).get('dtype', 'float32')
    parts = [cfg.model.backbone, cfg.model.data_preprocessor, pipeline, dtype]
    fingerprint = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    for key, value in model.backbone.state_dict().items():
        fingerprint.update(key.encode() + value.cpu().numpy().tobytes())
    return dict(
        config=cfg.filename,
        checkpoint=checkpoint,
        clip_len=sample.clip_len - sample.flow_gap,
        stride=sample.stride,
        fingerprint=fingerprint.hexdigest(),
    )


def features_of(model: BaseRecognizer, packed: dict) -> Tensor:
    """Feature maps of the backbone, averaged over (T, H, W).

    Args:
        model (BaseRecognizer): The network.
        packed (dict): Views as a pipeline packs them.

    Returns:
        Tensor: Views x C; of two streams the C channels of RGB and then those
        of flow.
    """
    inputs = pseudo_collate([packed])['inputs']
    batch = model.data_preprocessor(dict(inputs=inputs, data_samples=None), False)
    with precision_of(model):
        maps = model(batch['inputs'], mode='tensor', stage='backbone')
    maps = maps if isinstance(maps, tuple) else (maps,)
    return torch.cat([values.float().flatten(2).mean(2) for values in maps], dim=1)


def extract_all(
    model: BaseRecognizer,
    window: SlidingWindow,
    videos: Mapping[str, Path],
    store: FeatureStore,
    workers: int = 0,
    advance: Callable[[float], Any] = float,
) -> Iterator[Extraction]:
    """Store the features of videos.

    What an earlier run has finished is kept.

    Args:
        model (BaseRecognizer): The network.
        window (SlidingWindow): What gives the clips of a video.
        videos (Mapping[str, Path]): The videos by name.
        store (FeatureStore): Where to keep the features.
        workers (int): Processes that decode. Defaults to 0: this one.
        advance (Callable): Called with the part of a video, 0 to 1, that was
            done since the last call. Defaults to one without effect.

    Yields:
        Extraction: What became of each video, in any order.

    Raises:
        InputError: If the features cannot be written.
    """
    sizes: dict[str, int] = {}
    for name, video in videos.items():
        try:
            size = bytes_of(video)
        except InputError as error:
            advance(1.0)
            yield Extraction(video, error=str(error))
            continue
        if store.has(name, size):
            advance(1.0)
            yield Extraction(video)
        else:
            sizes[name] = size
    names = list(sizes)
    dataset = ClipsOfVideos(window, [videos[name] for name in names])
    clips = in_background(dataset, min(workers, len(names)))
    for done in over_time(clips, partial(features_of, model), advance):
        name = names[done.video]
        if isinstance(done, Failure):
            yield Extraction(videos[name], error=done.error)
            continue
        starts = done.starts.tolist()
        store.write(name, Features(done.values, starts, done.frames, done.fps, sizes[name]))
        yield Extraction(videos[name], computed=True)
    store.finish()

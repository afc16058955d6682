"""Extract the features of the sliding clips of videos into a folder of .npy files."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor

from .._atomic import atomic_write, write_json
from .._errors import InputError, VideoInputError
from ..datasets.pipelines import update_transform
from ..datasets.video_files import Extraction, bytes_of
from ..models.recognizer import precision_of
from .sliding_window import SlidingClips, SlidingWindow
from .video_inputs import load_videos, pipeline_of


def feature_settings(
    cfg: Config, checkpoint: str, model: BaseRecognizer, sample: SlidingClips
) -> dict[str, str | int]:
    """Settings that the features of a video depend on.

    Returns:
        dict: ``config`` and ``checkpoint`` as they were named, ``clip_len`` and ``stride`` in
        frames, and a ``fingerprint`` of network, weights and pipeline.
    """
    # Features do not depend on how many clips a test takes.
    pipeline = update_transform(pipeline_of(cfg), 'SampleClips', num_clips=1)
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


class FeatureFolder:
    """A folder with ``NAME.npy``, the features of a video, and then ``NAME.json``, about it.

    Args:
        folder (Path): The folder.
        settings (dict): As :func:`feature_settings` gives them; kept in ``settings.json``.

    Raises:
        InputError: If the folder has features of other settings, or cannot be written to.
    """

    def __init__(self, folder: Path, settings: dict[str, str | int]) -> None:
        if folder.suffix in ('.h5', '.hdf5'):
            raise InputError(f'{folder}: give a folder: features are .npy files, one per video')
        self.folder = folder
        path = folder / 'settings.json'
        if not path.exists():
            write_json(path, settings, parents=True)
        stored = read_json(path)
        for key in ('clip_len', 'stride'):
            if stored.get(key) != settings[key]:
                raise InputError(
                    f'{folder}: holds features with {key} {stored.get(key)}, not {settings[key]}: '
                    'write these elsewhere'
                )
        if stored.get('fingerprint') != settings['fingerprint']:
            raise InputError(
                f'{folder}: holds features of {stored.get("config")} and '
                f'{stored.get("checkpoint")}, whose network, weights or pipeline are others: '
                'write these elsewhere'
            )

    def has(self, name: str, video_bytes: int) -> bool:
        """Whether the features of a video, whose file has this size, are complete."""
        path = self.folder / f'{name}.json'
        return path.exists() and read_json(path).get('video_bytes') == video_bytes

    def write(self, name: str, features: np.ndarray, facts: dict[str, Any]) -> None:
        """Write the features of a video, clips x channels, and facts that JSON can hold.

        Raises:
            InputError: If they cannot be written.
        """
        npy = BytesIO()  # np.save into a file loses its end on a full disk without an error
        np.save(npy, features)
        with atomic_write(self.folder / f'{name}.npy', parents=True) as partial:
            partial.write_bytes(npy.getbuffer())
        write_json(self.folder / f'{name}.json', facts, indent=None)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; an InputError if it is none."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not readable: delete it: {error}') from error


def clip_features(model: BaseRecognizer, packed: dict) -> Tensor:
    """Compute the feature maps of packed views, averaged over (T, H, W).

    Returns:
        Tensor: Views x C; of two streams the C channels of RGB and then those of flow.
    """
    inputs = pseudo_collate([packed])['inputs']
    batch = model.data_preprocessor(dict(inputs=inputs, data_samples=None), False)
    with precision_of(model):
        maps = model(batch['inputs'], mode='tensor', stage='backbone')
    maps = maps if isinstance(maps, tuple) else (maps,)
    return torch.cat([values.float().flatten(2).mean(2) for values in maps], dim=1)


def extract_features(
    model: BaseRecognizer,
    window: SlidingWindow,
    videos: Mapping[str, Path],
    folder: FeatureFolder,
    workers: int = 0,
    progress: Callable[[float], object] = lambda share: None,
) -> Iterator[Extraction]:
    """Extract the features of videos, except those that an earlier run has completed.

    Args:
        model (BaseRecognizer): The network.
        window (SlidingWindow): The pipeline of the clips.
        videos (Mapping[str, Path]): The videos by name.
        folder (FeatureFolder): Where to write the features.
        workers (int): Processes that decode. Defaults to 0: this one.
        progress (Callable): As :meth:`SlidingWindow.apply` takes it.

    Yields:
        Extraction: What became of each video, in any order.

    Raises:
        InputError: If the features cannot be written.
    """
    missing: dict[Path, tuple[str, int]] = {}
    for name, video in videos.items():
        try:
            video_bytes = bytes_of(video)
        except VideoInputError as error:
            progress(1.0)
            yield Extraction(video, error=str(error))
            continue
        if not folder.has(name, video_bytes):
            missing[video] = name, video_bytes
            continue
        progress(1.0)
        yield Extraction(video)
    batches = load_videos(window.batches, list(missing), workers)
    for video, found in window.apply(partial(clip_features, model), batches, progress):
        if isinstance(found, InputError):
            yield Extraction(video, error=str(found))
            continue
        name, video_bytes = missing[video]
        starts = [i * found.stride for i in range(len(found.values))]
        facts = dict(starts=starts, frames=found.frames, fps=found.fps, video_bytes=video_bytes)
        folder.write(name, found.values, facts)
        yield Extraction(video, computed=True)

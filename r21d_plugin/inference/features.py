"""Extract the features of the sliding clips of videos into a folder of .npy files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.dataset import pseudo_collate
from torch import Tensor

from .._atomic import atomic_write, write_json
from .._errors import InputError, VideoInputError
from ..datasets.video_files import Extraction, bytes_of
from ..models.recognizer import computed_as_configured
from .sliding_window import SlidingWindow, apply_to_clips
from .video_inputs import load_videos


class FeatureFolder:
    """A folder with ``NAME.npy``, the features of a video, and then ``NAME.json``, about it.

    Settings are ``config`` and ``checkpoint`` as they were named, ``stride``, and ``fingerprint``,
    of all else that features depend on. They are kept in ``settings.json``. Raises an InputError if
    the folder has features of other settings, or cannot be written to.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str | int]) -> None:
        if folder.suffix in ('.h5', '.hdf5'):
            raise InputError(f'{folder}: give a folder: features are .npy files, one per video')
        self.folder = folder
        path = folder / 'settings.json'
        if not path.exists():
            write_json(path, settings, parents=True)
        stored = read_json(path)
        if any(stored.get(key) != settings[key] for key in ('stride', 'fingerprint')):
            raise InputError(
                f'{folder}: holds features of {stored.get("config")} and '
                f'{stored.get("checkpoint")} with stride {stored.get("stride")}; now network, '
                'weights, pipeline or stride differ: write these elsewhere'
            )

    def has(self, name: str, video_bytes: int) -> bool:
        """Whether the features of a video, whose file has this size, are complete."""
        path = self.folder / f'{name}.json'
        return path.exists() and read_json(path).get('video_bytes') == video_bytes

    def write(self, name: str, features: np.ndarray, facts: dict[str, Any]) -> None:
        """Write the features of a video, clips x channels, and facts that JSON can hold."""
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
    """Average feature maps of packed views over (T, H, W): views x C, of RGB and then of flow."""
    inputs = pseudo_collate([packed])['inputs']
    batch = model.data_preprocessor(dict(inputs=inputs, data_samples=None), False)
    with computed_as_configured(model):
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
    """Extract the features of videos, by name, except those that the folder has already.

    ``workers`` processes decode, or this one; ``progress`` is that of :func:`apply_to_clips`.
    Yields what became of each video, in any order; an InputError if features cannot be written.
    """
    missing: dict[Path, tuple[str, int]] = {}
    for name, video in videos.items():
        done = Extraction(video)
        try:
            video_bytes = bytes_of(video)
            if not folder.has(name, video_bytes):
                missing[video] = name, video_bytes
                continue
        except VideoInputError as error:
            done = Extraction(video, error=str(error))
        progress(1.0)
        yield done
    batches = load_videos(window.batches, list(missing), workers)
    for video, found in apply_to_clips(partial(clip_features, model), batches, progress):
        if isinstance(found, InputError):
            yield Extraction(video, error=str(found))
            continue
        name, video_bytes = missing[video]
        facts = dict(starts=found.starts.tolist(), frames=found.frames, fps=found.fps)
        facts['video_bytes'] = video_bytes
        folder.write(name, found.values, facts)
        yield Extraction(video, computed=True)

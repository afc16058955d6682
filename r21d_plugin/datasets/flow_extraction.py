"""Compute and store the flow of a folder of videos, for repeated training."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from .._compat import pairwise
from .._errors import InputError, VideoInputError
from .decoding import all_frames
from .flow import farneback
from .flow_store import SUFFIX, StoredFlow, write_flow
from .video_files import Extraction, bytes_of
from .workers import parallel_map


def extract_all(
    folder: Path, videos: list[Path], out: Path, scale: tuple[int, int], workers: int
) -> Iterator[Extraction]:
    """Store the flow of videos in files at the same paths below ``out``; yield the outcomes.

    Frames are resized to ``scale`` (W, H) first. Finished files of earlier runs are kept. Raises an
    InputError if they have another scale.
    """
    if min(scale) < 1:
        raise InputError(f'scale={scale}: must be at least 1')
    if not folder.is_dir():
        raise InputError(f'{folder}: not a folder: name the folder of the video')
    task = partial(extract, folder, out, scale)
    yield from parallel_map(task, videos, workers)


def extract(folder: Path, out: Path, scale: tuple[int, int], video: Path) -> Extraction:
    """Store the flow of one video, unless it is already stored."""
    path = out / f'{video.relative_to(folder)}{SUFFIX}'
    try:
        video_bytes = bytes_of(video)
        if path.exists():
            stored = StoredFlow(path)
            if stored.size != scale:
                sizes = f'{stored.size[0]}x{stored.size[1]} pixels, not {scale[0]}x{scale[1]}'
                raise InputError(f'{path}: flow of {sizes}: choose another folder or --scale')
            if stored.video_bytes == video_bytes:
                return Extraction(video)
        write_flow(path, flow_of_video(video, scale), video_bytes)
    except VideoInputError as error:
        return Extraction(video, error=str(error))
    return Extraction(video, computed=True)


def flow_of_video(video: Path, scale: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Compute the flow from each frame to the next, H x W x 2 float32, in pixels.

    Frames are resized to ``scale`` (W, H) first. Raises a VideoInputError if the video does not
    decode or has a single frame.
    """
    grays = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in all_frames(str(video), scale))
    pair = None
    for pair in pairwise(grays):
        yield farneback(*pair)
    if pair is None:
        raise VideoInputError(f'{video}: 1 frame(s), and flow needs 2')

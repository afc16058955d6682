"""Compute the flow of a folder of videos once, to train from it often."""

from collections.abc import Iterator
from concurrent.futures import as_completed
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from .._errors import InputError, VideoInputError
from .decoding import all_frames
from .flow import farneback
from .flow_store import SUFFIX, StoredFlow, write_flow
from .video_files import Extraction, bytes_of
from .workers import worker_pool


def extract_all(
    folder: Path,
    videos: list[Path],
    out: Path,
    scale: tuple[int, int] = (171, 128),
    workers: int = 1,
) -> Iterator[Extraction]:
    """Store the flow of videos, each in a file with its path below the folder.

    What an earlier run has finished is checked and kept.

    Args:
        folder (Path): Folder of the videos.
        videos (list[Path]): The videos in it.
        out (Path): Folder to write to.
        scale (tuple[int, int]): Width and height that frames are resized to first. Defaults to
            (171, 128), as in Section 4.1.
        workers (int): Processes. Defaults to 1.

    Yields:
        Extraction: The outcome for each video, in any order.

    Raises:
        InputError: If ``out`` cannot be written to, or holds flow of another size.
    """
    if workers < 1 or min(scale) < 1:
        raise InputError(f'workers={workers}, scale={scale}: all must be at least 1')
    if not folder.is_dir():
        raise InputError(f'{folder}: not a folder: name the one that the video is in')
    task = partial(extract, folder, out, scale)
    with worker_pool(workers) as pool:
        for future in as_completed([pool.submit(task, video) for video in videos]):
            yield future.result()


def extract(folder: Path, out: Path, scale: tuple[int, int], video: Path) -> Extraction:
    """Store the flow of one video, unless it is stored already."""
    path = out / video.relative_to(folder)
    path = path.with_name(path.name + SUFFIX)
    try:
        video_bytes = bytes_of(video)
        if path.exists():
            stored = StoredFlow(path)
            if stored.size != scale:
                raise InputError(
                    f'{path}: flow of {stored.size[0]}x{stored.size[1]} pixels, not '
                    f'{scale[0]}x{scale[1]}: choose another folder, or the same --scale'
                )
            if stored.video_bytes == video_bytes:
                return Extraction(video)
        write_flow(path, flow_of_video(video, scale), video_bytes)
    except VideoInputError as error:
        return Extraction(video, error=str(error))
    return Extraction(video, computed=True)


def flow_of_video(video: Path, scale: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Compute the flow from each frame to the next.

    Args:
        video (Path): The video.
        scale (tuple[int, int], optional): Width and height that frames are resized to first.
            Defaults to None: they are not.

    Yields:
        ndarray: H x W x 2 float32, in pixels.

    Raises:
        VideoInputError: If the video does not decode or has a single frame.
    """
    frames = all_frames(str(video), scale)
    count = 0
    for before, after in pairwise(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames):
        yield farneback(before, after)
        count += 1
    if count == 0:
        raise VideoInputError(f'{video}: 1 frame(s), and flow needs 2')

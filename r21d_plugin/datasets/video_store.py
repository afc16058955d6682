"""The training store: videos encoded for fast reading of random clips.

Frames have the size that training resizes to, every 16th frame is a key frame, and there are no
B-frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import mmcv
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from .._atomic import atomic_write
from .._errors import InputError, VideoInputError
from ._compat_av import ANY_METADATA, ONE_THREAD
from .store_tag import KEY_INTERVAL, StoreTag, even
from .video_facts import SLOW
from .video_files import bytes_of
from .video_reader import VideoReader

SIZE = (171, 128)  # width and height that training resizes to (Section 4.1)

ENCODER = {
    'preset': 'veryfast',
    'tune': 'fastdecode',
    'crf': '18',
    'x264-params': f'keyint={KEY_INTERVAL}:min-keyint={KEY_INTERVAL}:scenecut=0:bframes=0',
}

TICKS = 90_000  # ticks per second, if frames are not evenly spaced

UNKNOWN_FPS = 25.0

LONGEST_GAP = 3600.0  # seconds between frames; longer gaps are clock jumps, which MP4 cannot store


class StoreFormat(NamedTuple):
    """The format to which videos are encoded."""

    short_side: int | None = None  # pixels, keeps the aspect ratio; None: frames of 171 x 128
    fps: float | None = None  # constant frames per second; None: keep every frame and its time

    def __str__(self) -> str:
        size = f'short side {self.short_side}' if self.short_side else f'{SIZE[0]}x{SIZE[1]}'
        return size + (f', {self.fps:g} fps' if self.fps else '')

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the width and height of encoded frames, for a video of a given size."""
        return mmcv.rescale_size(size, (inf, self.short_side)) if self.short_side else SIZE


def is_stored(target: Path, source: Path, form: StoreFormat) -> bool:
    """Whether the current version of a video is already in the store.

    Raises an InputError if the target file has another format, or does not belong to a store.
    """
    if not target.exists():
        return False
    try:
        with av.open(f'file:{target.absolute()}', **ANY_METADATA) as container:
            tag = StoreTag.find(container.metadata)
    except (OSError, av.FFmpegError):
        tag = None
    if tag is None:
        remedy = 'choose another folder, or remove it'
        raise InputError(f'{target}: exists and does not belong to a store: {remedy}')
    if tag.settings != str(form):
        stored = f'stored as {tag.settings}, not as {form}'
        raise InputError(f'{target}: {stored}: choose another folder, or remove it')
    return tag.source_bytes == bytes_of(source)


def store_video(
    source: Path, target: Path, form: StoreFormat, seconds: tuple[float, float] | None = None
) -> int:
    """Encode the frames that VideoReader reads; return the number of frames.

    The MP4 file ``target`` is written atomically. ``seconds`` are begin and end of the part to
    encode. Raises a VideoInputError if the source does not decode completely.
    """
    source_bytes = bytes_of(source)
    with VideoReader(source, timeout=SLOW) as reader:
        numbers, times = choose_frames(reader, form.fps, seconds)
        if not len(numbers):
            part = 'at all' if seconds is None else 'from second {:g} to {:g}'.format(*seconds)
            raise VideoInputError(f'{source}: no frames {part}: correct the list')
        ticks, time_base = to_ticks(times, form.fps or reader.fps or UNKNOWN_FPS)
        size = form.size(reader.size)
        tag = StoreTag(len(numbers), *size, source_bytes, str(form))
        distinct, repeats = np.unique(numbers, return_counts=True)
        frames = reader.frames(distinct.tolist(), size)
        repeated = (f for f, count in zip(frames, repeats) for _ in range(count))
        with atomic_write(target, parents=True) as partial:
            write_video(partial, repeated, ticks, time_base, tag)
    return len(numbers)


def choose_frames(
    reader: VideoReader, fps: float | None, seconds: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the frames to store, and the seconds from the first to each.

    With ``fps``, frames are resampled at a constant rate: each step takes the latest frame whose
    time, rounded to that rate, is not later.
    """
    numbers = np.arange(len(reader))
    rate = reader.fps or UNKNOWN_FPS
    times = reader.timestamps
    if times is None or np.diff(times).max(initial=0) > LONGEST_GAP:
        times = numbers / rate
    if seconds is not None:
        numbers = numbers[(times >= seconds[0]) & (times < seconds[1])]
    if not len(numbers):
        return numbers, times[:0]
    times = times[numbers] - times[numbers[0]]
    if fps is None:
        return numbers, times
    places = np.floor(times * fps + 0.5)
    shown = np.arange(max(1, np.floor((times[-1] + 1 / rate) * fps + 0.5)))
    return numbers[np.searchsorted(places, shown, 'right') - 1], shown / fps


def to_ticks(times: np.ndarray, fps: float) -> tuple[np.ndarray, Fraction]:
    """Convert times of frames to integer ticks; return them and the length of a tick in seconds.

    A tick is one frame interval if frames are evenly spaced, up to the rounding to milliseconds in
    some containers.
    """
    rate = Fraction(fps).limit_denominator(1001)
    ticks = np.arange(len(times))
    if np.abs(times - ticks / float(rate)).max() < 1e-3:
        return ticks, 1 / rate
    return np.rint(times * TICKS).astype(np.int64), Fraction(1, TICKS)


def write_video(
    path: Path, frames: Iterable[np.ndarray], ticks: np.ndarray, time_base: Fraction, tag: StoreTag
) -> None:
    """Encode frames, H x W x 3, uint8, RGB."""
    width, height = even(tag.width), even(tag.height)
    reformatter = VideoReformatter()
    options = dict(movflags='+faststart')
    with av.open(f'file:{path.absolute()}', 'w', options=options) as container:
        container.metadata['comment'] = str(tag)
        rate = len(ticks) / (ticks[-1] + 1) / time_base if len(ticks) > 1 else 1 / time_base
        average = Fraction(rate).limit_denominator(1001)
        stream = container.add_stream('libx264', rate=average, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        for image, tick in zip(frames, ticks.tolist()):
            padding = (0, height - image.shape[0], 0, width - image.shape[1])
            padded = cv2.copyMakeBorder(image, *padding, cv2.BORDER_REPLICATE)
            picture = VideoFrame.from_ndarray(padded, format='rgb24')
            picture = reformatter.reformat(picture, format='yuv420p', **ONE_THREAD)
            picture.pts, picture.time_base = tick, time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))

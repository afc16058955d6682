"""Read the frames of a video by number."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from .._compat import pairwise
from .._errors import VideoInputError, escape_bytes
from ._compat_av import ONE_THREAD
from .display_matrix import display_matrix, turn
from .picture_run import DamageError, Run, UnexpectedPictureError
from .store_tag import StoreTag
from .video_index import (
    CountedFrames,
    PacketInfo,
    VideoIndex,
    index_by_packets,
    index_by_pictures,
    index_of_store,
    times_shown,
)
from .video_stream import NoVideoError, PictureStream, frame_rate

TIMEOUT = 60.0  # seconds that opening a video or decoding the next frame may take

KNOWN_INDEXES: OrderedDict[tuple[str, int, int], VideoIndex] = OrderedDict()
MAX_KNOWN_INDEXES = 10_000  # about 2 kB each for ten seconds of video

FAILED = 'does not decode: replace the file or drop it from the annotation file'

TOO_SLOW = 'did not decode in time: drop it from the annotation file, or raise the timeout'

REASONS = {
    av.ExitError: TOO_SLOW,  # PyAV's own timeout
    av.FFmpegError: FAILED,
    FileNotFoundError: 'no such video: correct the annotation file or data_prefix',
    PermissionError: 'permission denied: make the file readable',
    TimeoutError: TOO_SLOW,
    NoVideoError: 'does not decode: it has no video of a codec that FFmpeg knows: re-encode it or '
    'drop it from the annotation file',
    DamageError: 'has damaged frames: re-encode it or drop it from the annotation file',
    Exception: FAILED,
}


@contextmanager
def name_video_on_error(name: str) -> Iterator[None]:
    """Context manager: convert an error while reading a video to a one-line VideoInputError."""
    try:
        yield
    except (OSError, av.FFmpegError, NoVideoError, DamageError) as error:
        name = escape_bytes(name)
        name = name if name.isprintable() else ascii(name)
        reason = next(text for kind, text in REASONS.items() if isinstance(error, kind))
        raise VideoInputError(f'{name}: {reason}') from error


class VideoReader:
    """Context manager that reads the frames of a video by number, as FFmpeg shows them.

    Frame i is the i-th picture, in presentation order, that decoding the first video stream (cover
    pictures excluded) from the start shows. Pictures hidden by an edit list do not count. Frames
    are rotated and mirrored by the display matrix. ``len()`` is the number of pictures that decode.

    Frames are decoded in ascending order. Decoding begins at a key picture if that gives the same
    frames as decoding from the start. If the packets do not determine the number of frames (in AVI,
    MPEG and Ogg files and in raw streams), the video is decoded once to count them, unless
    ``counted`` is given; the result is cached as long as the file does not change. Later calls
    continue where earlier calls ended.

    Files of the training store (:mod:`~r21d_plugin.datasets.video_store`) are padded to even sides;
    the padding is removed.

    All methods raise a one-line VideoInputError that names the video if it does not decode.

    Args:
        video: A path, or the content of a file as bytes or a seekable binary file object.
        name: Name of the video in errors. Defaults to the path.
        strict: Whether any detected damage is an error, or only damage that may affect a requested
            frame. Defaults to True.
        timeout: Seconds that opening, counting, or getting to the next frame may take. Defaults
            to 60.
        threads: Threads that decode a picture. Defaults to 1.
        counted: The number of frames from an earlier count; ignored if the file has changed.
            Defaults to None.
    """

    def __init__(
        self,
        video: str | Path | bytes | IO[bytes],
        name: str | None = None,
        strict: bool = True,
        timeout: float = TIMEOUT,
        threads: int = 1,
        counted: CountedFrames | None = None,
    ) -> None:
        if isinstance(video, bytes):
            video = io.BytesIO(video)
        elif isinstance(video, str):
            video = Path(video)
        in_memory = not isinstance(video, Path)
        self._name = name or ('video in memory' if in_memory else str(video))
        self._strict = strict
        self._size: tuple[int, int] | None = None
        self._run: Run | None = None  # the current run of decoding, which later frames continue
        self._reformatter = VideoReformatter()
        with name_video_on_error(self._name):
            self._identity = identify(video) if isinstance(video, Path) else None
            self._stream = PictureStream(video, timeout, threads)
        self._index = KNOWN_INDEXES.get(self._identity) if self._identity else None
        same = counted and self._identity and self._identity[1:] == (counted.bytes, counted.mtime)
        self._counted = counted if same else None

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a file object passed by the caller stays open."""
        self._stream.close()

    def __len__(self) -> int:
        with name_video_on_error(self._name):
            return self._known_index().count

    @property
    def fps(self) -> float:
        """Average frames per second, 0 if unknown."""
        return frame_rate(self._stream.stream)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first displayed frame, in pixels."""
        if self._size is None:
            height, width = next(self.frames([0])).shape[:2]
            self._size = width, height
        return self._size

    @property
    def timestamps(self) -> np.ndarray | None:
        """Seconds from the first frame to each; None if times do not increase."""
        with name_video_on_error(self._name):
            times = np.array(self._known_index().timestamps, np.float64)
        if not len(times):
            return None
        seconds: np.ndarray = (times - times[0]) * float(self._stream.stream.time_base or 1)
        return seconds

    @property
    def counted(self) -> CountedFrames | None:
        """The counted frames for later readers; None if packets are sufficient, or in memory."""
        with name_video_on_error(self._name):
            index = self._known_index()
        if not index.counted or self._identity is None:
            return None
        return CountedFrames(index.count, bool(index.entries), *self._identity[1:])

    def verify(self) -> None:
        """Decode all frames, and count them if the packets suggest a different number."""
        with name_video_on_error(self._name):
            index = self._known_index()
            if index.counted and self._counted is None:
                return
            self._stream.start_clock()
            counted = self._count_pictures()
            if counted.damaged:
                raise DamageError
            if (counted.count, counted.timestamps) != (index.count, index.timestamps):
                self._index = self._remember(replace(counted, entries=()))

    def read(self, indices: Sequence[int], size: tuple[int, int] | None = None) -> np.ndarray:
        """Read frames by number, in any order and with repetitions: N x H x W x 3, uint8, RGB.

        Each frame is decoded once. The arguments are those of ``frames``.
        """
        wanted, positions = np.unique(np.asarray(indices, np.int64), return_inverse=True)
        return np.stack(list(self.frames(wanted.tolist(), size)))[positions.ravel()]

    def frames(
        self, indices: Sequence[int] | None = None, size: tuple[int, int] | None = None
    ) -> Iterator[np.ndarray]:
        """Decode frames one by one: H x W x 3, uint8, RGB.

        Args:
            indices: Frame numbers in ascending order. Defaults to all frames.
            size: Width and height to resize to (bilinear). Defaults to the size of the first
                decoded frame.
        """
        with name_video_on_error(self._name):
            self._stream.start_clock()
            for picture in self._all() if indices is None else self._selected(indices):
                image = to_image(picture, self._reformatter, self._stream.tag)
                size = size or (image.shape[1], image.shape[0])
                yield image if size == image.shape[1::-1] else cv2.resize(image, size)
                self._stream.start_clock()

    def _all(self) -> Iterator[VideoFrame]:
        """Yield all pictures, decoded from the start."""
        self._run = None
        for picture in self._stream.pictures(self._stream.packets()):
            if picture is None or picture.is_corrupt:
                raise DamageError
            yield picture
        if self._stream.is_cut_off():
            raise DamageError

    def _selected(self, wanted: Sequence[int]) -> Iterator[VideoFrame]:
        """Yield pictures by number, decoded from the nearest entry before each."""
        if any(low >= high for low, high in pairwise(wanted)):
            raise ValueError('frame numbers have to be in ascending order')
        index = self._known_index()
        if not all(0 <= number < index.count for number in wanted):
            raise IndexError(f'{self._name} has {index.count} frames: asked for {list(wanted)}')
        for number, later in zip(wanted, [*wanted[1:], None]):
            entry = index.entry_before(number)
            run = self._run
            if run is None or number < run.next or run.is_left_for(entry):
                run = self._run = Run(self._stream, index, entry, self._strict)
            try:
                picture = run.find(number)
            except UnexpectedPictureError:
                index = self._reconsider(index)
                run = self._run = Run(self._stream, index, None, self._strict)
                picture = run.find(number)
            if later is None or run.is_left_for(index.entry_before(later)):
                run.check()
            yield picture

    def _known_index(self) -> VideoIndex:
        """Return the index of the video; build it at the first call."""
        if self._index is None:
            self._stream.start_clock()
            index = index_of_store(self._stream.stream, self._stream.tag, self._stream.length)
            index = index or self._index_as_counted() or self._index_by_packets()
            self._index = self._remember(index or self._count_pictures())
        if self._index.count == 0:
            raise NoVideoError
        if self._strict and self._index.damaged:
            raise DamageError
        return self._index

    def _reconsider(self, index: VideoIndex) -> VideoIndex:
        """Count the pictures of a video that did not decode as indexed; return the new index.

        In a damaged video, frames keep the numbers that the packets give them.
        """
        if not index.damaged:
            self._stream.start_clock()
            counted = self._count_pictures()
            if counted.damaged and index.timestamps:
                self._index = self._remember(replace(index, damaged=True))
            else:
                self._index = self._remember(replace(counted, entries=()))
        return self._known_index()

    def _remember(self, index: VideoIndex) -> VideoIndex:
        if self._identity is not None:
            KNOWN_INDEXES[self._identity] = index
            if len(KNOWN_INDEXES) > MAX_KNOWN_INDEXES:
                KNOWN_INDEXES.popitem(last=False)
        return index

    def _index_as_counted(self) -> VideoIndex | None:
        """Index the video from an earlier count; None if there is none or the file has changed."""
        if self._counted is None:
            return None
        if not self._counted.by_times:
            return VideoIndex(self._counted.frames, counted=True)
        packets, damaged = self._describe_packets()
        index = index_by_pictures(times_shown(packets), packets, damaged)
        return index if index.timestamps and index.count == self._counted.frames else None

    def _index_by_packets(self) -> VideoIndex | None:
        """Index the video by its packets; None if they do not determine the number of pictures."""
        if not self._stream.coding.is_plain(self._stream.container.format.name):
            return None
        return index_by_packets(*self._describe_packets())

    def _noted_packets(self, noted: list[PacketInfo]) -> Iterator[av.Packet[Any]]:
        """Yield all packets from the start; describe packets with pictures in the list."""
        self._run = None
        for packet in self._stream.packets():
            if packet.size:
                noted.append(self._stream.coding.describe(packet))
            yield packet

    def _describe_packets(self) -> tuple[list[PacketInfo], bool]:
        """Describe the packets that hold pictures, and tell whether some are missing."""
        packets: list[PacketInfo] = []
        damaged = False
        try:
            for _ in self._noted_packets(packets):
                pass
        except av.FFmpegError:
            damaged = True
        return packets, damaged or self._stream.is_cut_off()

    def _count_pictures(self) -> VideoIndex:
        """Index the video by decoding it."""
        packets: list[PacketInfo] = []
        times: list[int | None] = []
        damaged = False
        for picture in self._stream.pictures(self._noted_packets(packets)):
            if picture is None:
                damaged = True
            else:
                damaged |= picture.is_corrupt
                times.append(picture.pts)
        return index_by_pictures(times, packets, damaged or self._stream.is_cut_off())


def to_image(
    picture: VideoFrame, reformatter: VideoReformatter, tag: StoreTag | None
) -> np.ndarray:
    """Convert a decoded picture to a displayed image, H x W x 3, uint8, RGB."""
    rgb = reformatter.reformat(picture, format='rgb24', **ONE_THREAD)
    image = rgb.to_ndarray()
    if rgb is picture:  # the array is the decoder's memory, which later pictures may refer to
        image = image.copy()
    return turn(tag.crop(image) if tag else image, display_matrix(picture))


def identify(path: Path) -> tuple[str, int, int]:
    """Identify a version of a file by its path, size and modification time."""
    status = os.stat(path)
    return str(path.absolute()), status.st_size, status.st_mtime_ns

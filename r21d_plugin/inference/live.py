"""Score live streams: a camera, a URL, standard input, or a file."""

from __future__ import annotations

import math
import queue
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from mmaction.models.recognizers.base import BaseRecognizer

from .._errors import InputError, check_whole
from ..datasets._compat_av import ANY_METADATA
from ..datasets.decoding import ReadFrames
from ..datasets.frame_times import EPSILON, ROUNDING
from ..datasets.pipelines import Pipeline
from ..datasets.store_tag import StoreTag
from ..datasets.video_reader import to_image
from ..datasets.video_stream import OPTIONS, NoVideoError, choose_stream, decode, frame_rate
from .predict import view_scores
from .scores import check_finite
from .sliding_window import SlidingWindow
from .sources import STDIN, TIMEOUT, is_address, is_camera, is_endless, shown_name

LONGEST_WAIT = 30  # seconds before a stream is opened again
UNKNOWN_RATE = 25.0  # frames per second assumed if a stream states neither a rate nor times
NETWORK = dict(  # a URL may lead to other URLs, but not to local files
    protocol_whitelist='http,https,tcp,tls,crypto,rtsp,rtp,srtp,udp',
    rtsp_flags='prefer_tcp',
)


class Frame(NamedTuple):
    """A frame of a stream, resized."""

    image: np.ndarray  # H x W x 3 uint8, RGB
    time: float  # seconds from the first frame of the stream


class Clip(NamedTuple):
    """A complete clip of a stream."""

    frames: tuple[Frame, ...]
    fps: float  # 0 where sampling uses the times of frames, not their rate
    arrived: float  # time.monotonic() when the last frame arrived

    @property
    def end(self) -> float:
        """Seconds from the first frame of the stream to the last frame of the clip."""
        return self.frames[-1].time


class ClipBuffer:
    """Buffer of the latest frames of a stream, from which clips are cut.

    Clips are those of :class:`~r21d_plugin.inference.sliding_window.SlidingClips`: they begin at
    frames 0, ``stride``, 2 * ``stride`` and so on. With ``target_fps``, frames are assumed to be
    evenly spaced until a timestamp disagrees.

    Args:
        window: The pipeline of the clips (:func:`live_window`).
        stride: Frames from the start of one clip to the start of the next.
        fps: The frame rate that the stream states, or 0.
    """

    def __init__(self, window: SlidingWindow, stride: int, fps: float) -> None:
        sample = window.sample
        steps = (sample.clip_len - 1) * sample.frame_interval
        self.needed = steps + 1
        self.span = steps / sample.target_fps if sample.target_fps else None  # seconds
        self.stride, self.fps, self.regular = stride, fps, fps > 0
        self.frames: deque[Frame] = deque()
        self.count = self.next = 0  # frames received, and number of the next clip's first frame
        self.start = self.last = self.gap = self.arrived = 0.0

    def add(self, frame: Frame) -> Iterator[Clip]:
        """Add the next frame; yield the clips that it completes."""
        self.arrived = time.monotonic()
        if not self.count:
            self.start = self.last = frame.time
        self.gap, self.last = frame.time - self.last, frame.time
        if self.regular:
            self.regular = abs(frame.time - self.start - self.count / self.fps) <= ROUNDING
        if self.count >= self.next:
            self.frames.append(frame)
        self.count += 1
        while self._is_complete():
            yield self._cut()

    def finish(self) -> Iterator[Clip]:
        """Yield the clips that the end of the stream completes; a looped clip if it had none."""
        while self.span is not None and self.frames and not self.regular:
            if self.last + self.gap - self.frames[0].time <= self.span + ROUNDING:
                break
            yield self._cut()
        if self.count and not self.next:
            yield self._cut()

    def _is_complete(self) -> bool:
        if self.span is None or not self.frames:
            return len(self.frames) == self.needed
        if self.regular:
            return len(self.frames) / self.fps > self.span + EPSILON
        return self.last - self.frames[0].time > self.span + ROUNDING

    def _cut(self) -> Clip:
        clip = Clip(tuple(self.frames), self.fps if self.regular else 0.0, self.arrived)
        self.next += self.stride
        for _ in range(min(self.stride, len(self.frames))):
            self.frames.popleft()
        return clip


class LiveClips:
    """Iterator over the clips of a stream, which a separate thread reads.

    At most one complete clip is queued. If the source cannot be paused (a camera, RTSP, a URL
    without a known duration), the next clip replaces the queued one; other sources are paused. A
    stream that breaks is reopened after 1, 2, 4 ... 30 seconds, and no clip spans the break. Used
    as a context manager, which ends the thread.

    Args:
        source: A camera's number, a URL, ``-`` for standard input, or a file.
        window: The pipeline of the clips (:func:`live_window`).
        stride: Frames from the start of one clip to the start of the next.
        retries: How often in a row to reopen a broken stream. Defaults to None: unlimited if the
            source cannot be paused, else 0.
        notify: Called with a one-line message when the stream breaks.
        draw: Called in the thread with an iterator of the frames at full size, H x W x 3 uint8 RGB,
            and their rate; the stream ends when it returns. Defaults to None.

    Attributes:
        dropped: Number of clips that were replaced.

    Raises:
        InputError: If the source does not open; while iterating, if it breaks and is not reopened.
    """

    def __init__(
        self,
        source: str,
        window: SlidingWindow,
        stride: int,
        retries: int | None = None,
        notify: Callable[[str], object] = lambda line: None,
        draw: Callable[[Iterator[np.ndarray], float], object] | None = None,
    ) -> None:
        check_whole('stride', stride)
        check_whole('retries', retries or 0, least=0)
        self.source, self.name = source, shown_name(source)
        self.window, self.stride, self.notify = window, stride, notify
        self.draw = draw or (lambda frames, fps: deque(frames, maxlen=0))
        reads = [t for t in window.load.transforms if isinstance(t, ReadFrames)]
        if not reads:
            raise InputError('a stream needs a test pipeline with r21d_plugin.ReadFrames')
        self.resize = reads[0].resize
        self.container = open_stream(source)
        unknown_end = is_address(source) and self.container.duration is None
        self.cannot_wait = is_endless(source) or unknown_end
        self.retries = (math.inf if self.cannot_wait else 0) if retries is None else retries
        self.dropped = self.failures = 0
        self.problem = ''
        self.error: Exception | None = None
        self.queue: queue.Queue[Clip | None] = queue.Queue(maxsize=1)
        self.stopped = Event()
        self.began = time.monotonic()
        self.thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> LiveClips:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopped.set()
        self.thread.join(TIMEOUT + 1)

    def __iter__(self) -> Iterator[Clip]:
        while (clip := self.queue.get()) is not None:
            yield clip
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self.draw(self._frames(), rate_of(self.container) or UNKNOWN_RATE)
        except Exception as error:
            self.error = error
        self._put(None)

    def _put(self, clip: Clip | None) -> None:
        """Queue a clip, or None at the end of the stream."""
        waits = clip is None or not self.cannot_wait
        while not self.stopped.is_set():
            try:
                self.queue.put(clip, timeout=0.1 if waits else 0)
                return
            except queue.Full:
                if not waits:
                    with suppress(queue.Empty):
                        self.queue.get_nowait()
                        self.dropped += 1

    def _frames(self) -> Iterator[np.ndarray]:
        """Yield frames at full size, and queue their clips."""
        count, latest = 0, 0.0
        for container in self._connections():
            buffer = ClipBuffer(self.window, self.stride, rate_of(container))
            offset = max(time.monotonic() - self.began, latest) if count else 0.0
            try:
                for image, seconds in read_frames(container):
                    count, self.failures, latest = count + 1, 0, offset + seconds
                    for clip in buffer.add(Frame(self.resize(image), latest)):
                        self._put(clip)
                    yield image
                    if self.stopped.is_set():
                        return
            except (OSError, av.FFmpegError) as error:
                self.problem = reason_of(error)
            finally:
                container.close()
            for clip in buffer.finish():
                self._put(clip)
        if not count:
            raise InputError(f'{self.name}: none of its frames decodes')

    def _connections(self) -> Iterator[InputContainer]:
        """Yield the open stream, and a reopened stream each time that it breaks."""
        yield self.container
        while self.problem or self.cannot_wait:
            if self.failures >= self.retries:
                if self.problem:
                    hint = ': an MP4 may have its index at the end: drop --live'
                    line = f'{self.name}: broke: {self.problem}'
                    raise InputError(line + hint if self.source == STDIN else line)
                return
            wait = min(2**self.failures, LONGEST_WAIT)
            self.failures += 1
            self.notify(f'{self.name}: {self.problem or "ended"}: trying again in {wait} s')
            if self.stopped.wait(wait):
                return
            try:
                container = open_stream(self.source)
            except InputError as error:
                self.problem = reason_of(error.__cause__)
                continue
            self.problem = ''
            yield container


def open_stream(source: str) -> InputContainer:
    """Open a source for a single forward pass; raise an InputError if it does not open."""
    file: Any
    form, options, file = None, OPTIONS, f'file:{source}'
    if source == STDIN:  # unbuffered: a buffer would delay frames until it is full
        file = open(sys.stdin.fileno(), 'rb', buffering=0, closefd=False)  # noqa: SIM115
    elif is_camera(source):
        form, options, file = 'v4l2', {}, f'/dev/video{source}'
    elif is_address(source):
        options, file = NETWORK, source
    known: dict[str, Any] = dict(format=form, container_options=options, **ANY_METADATA)
    try:
        container: InputContainer = av.open(file, 'r', timeout=(TIMEOUT, TIMEOUT), **known)
        choose_stream(container)
    except (OSError, av.FFmpegError, NoVideoError) as error:
        raise InputError(f'{shown_name(source)}: does not open: {reason_of(error)}') from error
    return container


def reason_of(error: BaseException | None) -> str:
    """Describe an error without the URL, which may contain a password."""
    if isinstance(error, av.ExitError):
        return f'no data for {TIMEOUT:g} seconds'
    if isinstance(error, NoVideoError):
        return 'it has no video'
    return getattr(error, 'strerror', None) or type(error).__name__


def rate_of(container: InputContainer) -> float:
    """Return the frame rate that the video stream of a source states, or 0."""
    return frame_rate(choose_stream(container))


def read_frames(container: InputContainer) -> Iterator[tuple[np.ndarray, float]]:
    """Yield the frames of a stream, each with its increasing time in seconds since the first frame.

    Frames are H x W x 3, uint8, RGB. Damaged frames are skipped. A frame whose timestamp is not
    later than that of the previous frame is placed one frame interval after it. After the first
    frame without a timestamp, all frames are (AVI has few timestamps).
    """
    stream, tag = choose_stream(container), StoreTag.find(container.metadata)
    step = 1 / (rate_of(container) or UNKNOWN_RATE)
    reformatter = VideoReformatter()
    begin: float | None = None
    timed, last = True, -step
    for packet in container.demux(stream):
        for picture in decode(stream, packet):
            if picture is None or picture.is_corrupt:
                continue
            timed = timed and picture.time is not None
            begin = picture.time if begin is None else begin
            seconds = float(picture.time - begin) if timed else last
            last = seconds if seconds > last else last + step
            yield to_image(picture, reformatter, tag), last


def live_window(pipeline: Pipeline) -> SlidingWindow:
    """Build the pipeline for clips that are already cut: each gives exactly one clip."""
    return SlidingWindow(pipeline, stride=sys.maxsize // 2)


def load_clip(window: SlidingWindow, clip: Clip) -> dict[str, Any]:
    """Run the pipeline on a clip of a stream."""
    times = np.array([frame.time for frame in clip.frames]) - clip.frames[0].time
    video = dict(
        array=[frame.image for frame in clip.frames],
        avg_fps=clip.fps,
        video_reader=SimpleNamespace(timestamps=None if clip.fps else times),
        start_index=0,
        modality='RGB',
    )
    packed = window.load(dict(window.open(video) or {}, num_clips=1))
    assert packed is not None, 'frames that are there already decode'
    return packed


def score_clip(model: BaseRecognizer, window: SlidingWindow, clip: Clip) -> np.ndarray:
    """Return the class scores of a clip of a stream."""
    with torch.no_grad():
        views = view_scores(model, load_clip(window, clip)).float()
    check_finite(views, 'clip')
    return views.mean(0).cpu().numpy()


class Smoothing:
    """Exponential moving average of scores, with a time constant in seconds (0: no smoothing)."""

    def __init__(self, seconds: float) -> None:
        if not 0 <= seconds < math.inf:
            raise InputError(f'smooth={seconds}: give seconds, 0 or more')
        self.seconds, self.time = seconds, 0.0
        self.scores: np.ndarray | None = None

    def add(self, scores: np.ndarray, time: float) -> np.ndarray:
        """Update the mean with the scores at a time in seconds, and return it; times increase."""
        weight = -math.expm1((self.time - time) / self.seconds) if self.seconds else 1.0
        before = scores if self.scores is None else self.scores
        self.scores, self.time = before + weight * (scores - before), time
        return self.scores


class Latencies:
    """Rate of scores, and latencies from the last frame of a clip to its scores.

    Percentiles are over the last 1,000 clips.
    """

    def __init__(self) -> None:
        self.count, self.began = 0, time.monotonic()
        self.seconds: deque[float] = deque(maxlen=1000)

    def add(self, arrived: float) -> None:
        """Record that a clip was scored; ``arrived`` is when its last frame arrived."""
        self.count += 1
        self.seconds.append(time.monotonic() - arrived)

    def __str__(self) -> str:
        rate = self.count / max(time.monotonic() - self.began, 1e-9)
        median, high = np.percentile(self.seconds or [0.0], [50, 95]) * 1000
        clips = f'{self.count} clips scored, {rate:.1f} a second'
        return f'{clips}; latency {median:.0f} ms (median), {high:.0f} ms (95th percentile)'

"""Apply a network to clips that slide along a video of any length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._errors import InputError, VideoInputError
from ..datasets.decoding import close_video
from ..datasets.frame_times import FrameTimes
from ..datasets.pipelines import SAMPLERS, Pipeline, find_transform
from ..datasets.sampling import SampleFramesOfClips, last_first_frame
from .scores import check_finite
from .video_inputs import build_pipeline, run_pipeline


class WindowScores(NamedTuple):
    """Scores or features of the sliding clips of a video."""

    values: np.ndarray  # clips x channels, or clips x ... for features, float32
    starts: np.ndarray  # number of the first frame of each clip, ascending
    ends: np.ndarray  # number of the frame after the last frame of each clip
    frames: int  # number of frames of the video
    fps: float  # of the video, 0 where the pipeline does not open it
    seconds: np.ndarray | None = None  # clips x (start, end); None without a frame rate

    def at(self, frame: int) -> np.ndarray:
        """Average the clips that cover a frame; if there are none, use the last clip before it."""
        first = int(np.searchsorted(self.ends, frame, 'right'))
        last = int(np.searchsorted(self.starts, frame, 'right'))
        covering: np.ndarray = self.values[first:last]
        values: np.ndarray = covering.mean(0) if len(covering) else self.values[last - 1]
        return values


class ClipBatch(NamedTuple):
    """Consecutive clips of a video."""

    packed: dict[str, Any]  # of the pipeline: inputs, views x C x T x H x W (or a dict of such)
    done: float  # share of the video's clips that are done after this batch, 1 at the end
    clips: WindowScores  # the clips, without values


class SlidingClips(SampleFramesOfClips):
    """Sample clips that begin every ``stride`` frames or seconds, as many as fit into a video.

    A video shorter than a clip is looped and gives one clip. Clips of two streams begin at the same
    frames.

    Args:
        clip_len (int): Frames per clip.
        stride (int or str, optional): Frames, or seconds as in ``'0.5s'``, between the starts of
            consecutive clips. Defaults to None: a clip begins where the previous one ends (with
            ``target_fps``, at that point in time).
        whole (bool): Drop clips that would need frames beyond the end, as the tools of
            :mod:`~r21d_plugin.inference.presets` do, and raise a VideoInputError for a video
            shorter than a clip. Defaults to False.
        **kwargs: Further arguments of :class:`~r21d_plugin.datasets.SampleFramesOfClips`.
    """

    def __init__(
        self,
        clip_len: int,
        stride: int | str | None = None,
        whole: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(clip_len, **dict(kwargs, test_mode=True, num_clips='all'))
        if stride is None and self.target_fps is None:
            stride = clip_len * self.frame_interval
        self.stride, self.whole = parse_stride(stride), whole
        self.video = ''
        self.times: FrameTimes | None = None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the keys of SampleFrames; raise a VideoInputError if no whole clip fits."""
        self.video = results.get('filename', '')
        self.times = FrameTimes.of(results) if isinstance(self.stride, str) else None
        return super().transform(results)

    def _get_test_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray:
        return self._starts(num_frames - int(ori_clip_len), self.times)

    def _first_frames(self, times: FrameTimes, step: float, clip_len: int) -> np.ndarray:
        last = last_first_frame(times, step, clip_len)
        length = (self.clip_len - self.flow_gap) * step
        count = int((times.starts[last] + times.slack) / length) + 1
        if self.whole:
            count = frames_at_rate(times, step) // clip_len
        if self.stride is not None or not count:
            return self._starts(last if count else -1, times)
        return np.unique(times.shown_at(np.arange(count) * length))

    def _starts(self, last: int, times: FrameTimes | None) -> np.ndarray:
        """Return first frames of clips; ``last`` is the last possible one, negative if none is."""
        if self.whole and last < 0:
            raise VideoInputError(f'{self.video}: shorter than a clip of {self.clip_len} frames')
        last = max(last, 0)
        if isinstance(self.stride, int):
            return np.arange(0, last + 1, self.stride)
        assert times is not None
        moments = np.arange(0, times.end, float(str(self.stride)[:-1]))
        firsts = np.unique(times.shown_at(moments))
        return firsts[firsts <= last]


def parse_stride(stride: int | str | None) -> int | str | None:
    """Parse a stride in frames or seconds (``'0.5s'``); raise an InputError if it is invalid."""
    seconds = isinstance(stride, str) and stride.endswith('s')
    try:
        if stride is None or (seconds and 0 < float(str(stride)[:-1]) < float('inf')):
            return stride
        if not seconds and int(stride) >= 1:
            return int(stride)
    except ValueError:
        pass
    rule = 'use at least 1 frame, or seconds such as 0.5s, from clip to clip'
    raise InputError(f'stride={stride}: {rule}')


def frames_at_rate(times: FrameTimes, step: float) -> int:
    """Count the frames of a video that is resampled to one every ``step`` seconds, as TSP does.

    If the frame rate is a multiple of the new rate, every n-th frame is counted, including the last
    partial step. Otherwise, the count is the duration divided by ``step``.
    """
    ratio = step * len(times.starts) / times.end
    whole = abs(ratio - round(ratio)) < 1e-6
    return -(-len(times.starts) // round(ratio)) if whole else int(times.end / step)


class SlidingWindow:
    """A test pipeline whose clips slide along a video.

    A video is decoded forward, each frame once, ``batch_size`` clips at a time, so memory use is
    independent of its length. ``stride`` and ``whole`` are arguments of :class:`SlidingClips`.
    Raises an InputError if the pipeline has no ``SampleFrames``, or a number is less than 1.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        stride: int | str | None = None,
        batch_size: int = 8,
        whole: bool = False,
    ) -> None:
        if batch_size < 1:
            raise InputError(f'batch_size={batch_size}: at least 1 clip at a time')
        at = find_transform(pipeline, *SAMPLERS)
        known = ('type', '_scope_')
        arguments = {key: value for key, value in pipeline[at].items() if key not in known}
        self.pipeline = pipeline
        self.sample = SlidingClips(**arguments, stride=stride, whole=whole)
        self.open = build_pipeline([*pipeline[:at], self.sample])
        self.load = build_pipeline(pipeline[at + 1 :])
        self.batch_size = batch_size

    def batches(self, path: Path) -> Iterator[ClipBatch]:
        """Load the clips of a video; raise an InputError if it does not decode."""
        video = run_pipeline(self.open, path)
        video['decoded'] = {}  # frames that clips share
        clips = video['frame_inds'].reshape(-1, video['clip_len'])
        known = dict(frames=video['total_frames'], fps=video.get('avg_fps', 0.0))
        starts, ends = clips[:, 0], clips.max(1) + 1
        seconds = seconds_of(video, starts, ends)
        for first in range(0, len(clips), self.batch_size):
            these = slice(first, first + self.batch_size)
            batch = clips[these]
            results = dict(video, frame_inds=batch.ravel(), num_clips=len(batch))
            packed: Any = self.load(results)
            scores = WindowScores(
                np.empty(0),
                starts[these],
                ends[these],
                **known,
                seconds=None if seconds is None else seconds[these],
            )
            yield ClipBatch(packed, (first + len(batch)) / len(clips), scores)
        close_video(video)


def seconds_of(video: dict[str, Any], starts: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """Return start and end of the clips of an opened video, in seconds; None without a rate."""
    try:
        times = FrameTimes.of(video)
    except InputError:
        return None
    return np.stack([times.starts[starts], np.append(times.starts, times.end)[ends]], 1)


def apply_to_clips(
    network: Callable[[dict[str, Any]], Tensor],
    batches: Iterable[tuple[Path, ClipBatch | InputError]],
    progress: Callable[[float], object] = lambda share: None,
    keep_crops: bool = False,
) -> Iterator[tuple[Path, WindowScores | InputError]]:
    """Apply a network, which maps packed clips to views x ..., to the clips of videos.

    Several crops of a clip are averaged or, with ``keep_crops``, kept: clips x crops x ... Each
    video is yielded once when it is done, with its clips in order or with the error that ended it.
    ``progress`` is called with the additional share of a video, 0 to 1, that is done. Raises an
    InputError if a value is not finite.
    """
    parts: dict[Path, list[WindowScores]] = defaultdict(list)
    done: dict[Path, float] = defaultdict(float)
    for video, batch in batches:
        now = 1.0 if isinstance(batch, InputError) else batch.done
        progress(now - done[video])
        done[video] = now
        if isinstance(batch, InputError):
            parts.pop(video, None)
            yield video, batch
            continue
        with torch.no_grad():
            views = network(batch.packed).float()
        check_finite(views, video)
        # A clip has one view for each crop.
        crops = views.unflatten(0, (-1, len(batch.clips.starts)))
        values = crops.transpose(0, 1) if keep_crops else crops.mean(0)
        parts[video].append(batch.clips._replace(values=values.cpu().numpy()))
        if batch.done == 1:
            yield video, join(parts.pop(video))


def join(parts: Sequence[WindowScores]) -> WindowScores:
    """Concatenate the scores of consecutive batches of a video's clips."""
    values, starts, ends = map(np.concatenate, list(zip(*parts))[:3])
    seconds = [part.seconds for part in parts if part.seconds is not None]
    together = np.concatenate(seconds) if seconds else None
    return parts[0]._replace(values=values, starts=starts, ends=ends, seconds=together)

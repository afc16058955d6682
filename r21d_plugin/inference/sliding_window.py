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
    """Scores, or features, of the sliding clips of a video."""

    values: np.ndarray  # clips x channels, or clips x ... of features, float32
    starts: np.ndarray  # number of the first frame of each clip, rising
    ends: np.ndarray  # number of the frame after the last one of each clip
    frames: int  # of the video
    fps: float  # of the video, 0 where the pipeline does not open it
    seconds: np.ndarray | None = None  # clips x (start, end); None without a frame rate

    def at(self, frame: int) -> np.ndarray:
        """Mean values of the clips that cover a frame, else those of the last clip before it."""
        first = int(np.searchsorted(self.ends, frame, 'right'))
        last = int(np.searchsorted(self.starts, frame, 'right'))
        covering: np.ndarray = self.values[first:last]
        values: np.ndarray = covering.mean(0) if len(covering) else self.values[last - 1]
        return values


class ClipBatch(NamedTuple):
    """Consecutive clips of a video."""

    packed: dict[
        str, Any
    ]  # as the pipeline packs them: inputs, views x C x T x H x W (or a dict of such)
    done: float  # share of the video's clips that are done with these, 1 at the end
    clips: WindowScores  # these clips, still without values


class SlidingClips(SampleFramesOfClips):
    """Sample the clips that begin every ``stride`` frames or seconds, as many as fit into a video.

    A video shorter than a clip gives one, looped. Clips of two streams begin at the same frames.

    Args:
        clip_len (int): Frames of a clip.
        stride (int or str, optional): Frames, or seconds as ``'0.5s'``, from the start of a clip
            to that of the next. Defaults to None: a clip begins where the one before ends, which
            with ``target_fps`` is a moment of the video.
        whole (bool): Whether a clip that would need frames beyond the end is left out, as the tools
            of :mod:`~r21d_plugin.inference.presets` do; a shorter video is a VideoInputError then.
            Defaults to False.
        **kwargs: Further arguments of :class:`~r21d_plugin.datasets.SampleFramesOfClips`.
    """

    def __init__(
        self,
        clip_len: int,
        stride: int | str | None = None,
        whole: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(clip_len, **dict(kwargs, test_mode=True))
        if stride is None and self.target_fps is None:
            stride = clip_len * self.frame_interval
        self.stride, self.whole = parse_stride(stride), whole
        self.video = ''
        self.times: FrameTimes | None = None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add what SampleFrames adds; a VideoInputError if the video has no whole clip."""
        self.video = results.get('filename', '')
        self.times = FrameTimes.of(results) if isinstance(self.stride, str) else None
        return super().transform(results)

    def _get_test_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray:
        return self._starts(num_frames - int(ori_clip_len), self.times)

    def _rgb_offsets(self, num_frames: int) -> np.ndarray:
        return np.zeros(1, int)

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
        """Frames that clips begin with; a clip can begin up to frame ``last``, -1 if none can."""
        if self.whole and last < 0:
            raise VideoInputError(f'{self.video}: shorter than a clip of {self.clip_len} frames')
        last = max(last, 0)
        if isinstance(self.stride, int):
            return np.arange(0, last + 1, self.stride)
        assert times is not None
        moments = np.arange(0, times.end, float(str(self.stride)[:-1]))
        firsts = np.unique(times.shown_at(moments))
        return firsts[firsts <= last]

    def _rgb_offsets_by_time(
        self, times: FrameTimes, step: float, firsts: np.ndarray
    ) -> np.ndarray:
        return np.zeros(1, int)


def parse_stride(stride: int | str | None) -> int | str | None:
    """A stride as frames, or as seconds (``'0.5s'``); an InputError if it is neither."""
    seconds = isinstance(stride, str) and stride.endswith('s')
    try:
        if stride is None or (seconds and 0 < float(str(stride)[:-1]) < float('inf')):
            return stride
        if not seconds and int(stride) >= 1:
            return int(stride)
    except ValueError:
        pass
    rule = 'a clip begins at least 1 frame, or some seconds (0.5s), after another'
    raise InputError(f'stride={stride}: {rule}')


def frames_at_rate(times: FrameTimes, step: float) -> int:
    """Frames that a video has with one every ``step`` seconds, as TSP counts them.

    Where the frame rate is a multiple of the new one, every n-th frame is taken, that at the end
    too; elsewhere it is the duration over the step.
    """
    ratio = step * len(times.starts) / times.end
    whole = abs(ratio - round(ratio)) < 1e-6
    return -(-len(times.starts) // round(ratio)) if whole else int(times.end / step)


class SlidingWindow:
    """A test pipeline whose clips slide along a video.

    A video is decoded forward, each frame once, ``batch_size`` clips at a time: memory use is
    independent of its length. :class:`SlidingClips` says what ``stride`` and ``whole`` are. Raises
    an InputError if the pipeline has no ``SampleFrames``, or a number is less than 1.
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
        arguments = {key: value for key, value in pipeline[at].items() if key != 'type'}
        self.pipeline = pipeline
        self.sample = SlidingClips(**arguments, stride=stride, whole=whole)
        self.open = build_pipeline([*pipeline[:at], self.sample])
        self.load = build_pipeline(pipeline[at + 1 :])
        self.batch_size = batch_size

    def batches(self, path: Path) -> Iterator[ClipBatch]:
        """Load the clips of a video; an InputError if it does not decode."""
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
    """Seconds at which clips of an opened video begin and end; None without a frame rate."""
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
    """Apply a network, from packed clips to views x ..., to the clips of videos.

    Several crops of a clip are averaged, or with ``keep_crops`` kept: clips x crops x .... The
    clips of each video come in order, or the error that ended it. It is yielded once, when it is
    done. ``progress`` is called with the share of a video, 0 to 1, that is newly done. Raises an
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
        # A clip of several crops has a view for each.
        crops = views.unflatten(0, (-1, len(batch.clips.starts)))
        values = crops.transpose(0, 1) if keep_crops else crops.mean(0)
        parts[video].append(batch.clips._replace(values=values.cpu().numpy()))
        if batch.done == 1:
            yield video, join(parts.pop(video))


def join(parts: Sequence[WindowScores]) -> WindowScores:
    """Put the scores of consecutive clips of a video together."""
    values, starts, ends = map(np.concatenate, list(zip(*parts))[:3])
    seconds = [part.seconds for part in parts if part.seconds is not None]
    together = np.concatenate(seconds) if seconds else None
    return parts[0]._replace(values=values, starts=starts, ends=ends, seconds=together)

"""Apply a network to clips that slide along a video of any length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._errors import InputError
from ..datasets.decoding import close_video
from ..datasets.frame_times import FrameTimes
from ..datasets.pipelines import SAMPLERS, Pipeline, find_transform
from ..datasets.sampling import SampleFramesOfClips, last_first_frame
from .scores import check_finite
from .video_inputs import build_pipeline, run_pipeline


class WindowScores(NamedTuple):
    """Scores, or features, of the sliding clips of a video."""

    values: np.ndarray  # clips x channels, float32
    starts: np.ndarray  # number of the first frame of each clip, rising
    ends: np.ndarray  # number of the frame after the last one of each clip
    frames: int  # of the video
    fps: float  # of the video, 0 where the pipeline does not open it

    def at(self, frame: int) -> np.ndarray:
        """Mean values of the clips that cover a frame, else those of the last clip before it."""
        first = int(np.searchsorted(self.ends, frame, 'right'))
        last = int(np.searchsorted(self.starts, frame, 'right'))
        covering = self.values[first:last]
        return covering.mean(0) if len(covering) else self.values[last - 1]


class ClipBatch(NamedTuple):
    """Consecutive clips of a video."""

    packed: dict  # as the pipeline packs them: inputs, views x C x T x H x W (or a dict of such)
    done: float  # share of the video's clips that are done with these, 1 at the end
    clips: WindowScores  # these clips, still without values


class SlidingClips(SampleFramesOfClips):
    """Sample clips at frames 0, stride, 2 * stride and so on, as many as fit into a video.

    A video shorter than a clip gives one, looped. Clips of two streams begin at the same frames.
    Arguments are those of :class:`~r21d_plugin.datasets.SampleFramesOfClips` and the stride in
    frames of the video. By default a clip begins where the one before ends, which with
    ``target_fps`` is a moment of the video; ``stride`` is None then.
    """

    def __init__(self, clip_len: int, stride: int | None = None, **kwargs: Any) -> None:
        super().__init__(clip_len, **dict(kwargs, test_mode=True))
        self.stride = stride
        if stride is None and self.target_fps is None:
            self.stride = clip_len * self.frame_interval
        if stride is not None and stride < 1:
            raise InputError(f'stride={stride}: a clip begins at least 1 frame after another')

    def _get_test_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray:
        return np.arange(0, max(num_frames - int(ori_clip_len), 0) + 1, self.stride)

    def _rgb_offsets(self, num_frames: int) -> np.ndarray:
        return np.zeros(1, int)

    def _first_frames(self, times: FrameTimes, step: float, clip_len: int) -> np.ndarray:
        last = last_first_frame(times, step, clip_len)
        if self.stride is not None:
            return np.arange(0, last + 1, self.stride)
        length = (self.clip_len - self.flow_gap) * step
        count = int((times.starts[last] + times.slack) / length) + 1
        return np.unique(times.shown_at(np.arange(count) * length))

    def _rgb_offsets_by_time(
        self, times: FrameTimes, step: float, firsts: np.ndarray
    ) -> np.ndarray:
        return np.zeros(1, int)


class SlidingWindow:
    """A test pipeline whose clips slide along a video.

    A video is decoded forward, each frame once, ``batch_size`` clips at a time: memory use is
    independent of its length. :class:`SlidingClips` says what ``stride`` is. Raises an InputError
    if the pipeline has no ``SampleFrames``, or a number is less than 1.
    """

    def __init__(self, pipeline: Pipeline, stride: int | None = None, batch_size: int = 8) -> None:
        if batch_size < 1:
            raise InputError(f'batch_size={batch_size}: at least 1 clip at a time')
        at = find_transform(pipeline, *SAMPLERS)
        arguments = {key: value for key, value in pipeline[at].items() if key != 'type'}
        self.sample = SlidingClips(**arguments, stride=stride)
        self.open = build_pipeline([*pipeline[:at], self.sample])
        self.load = build_pipeline(pipeline[at + 1 :])
        self.batch_size = batch_size

    def batches(self, path: Path) -> Iterator[ClipBatch]:
        """Load the clips of a video; an InputError if it does not decode."""
        video = run_pipeline(self.open, path)
        video['decoded'] = {}  # frames that clips share
        clips = video['frame_inds'].reshape(-1, video['clip_len'])
        known = dict(frames=video['total_frames'], fps=video.get('avg_fps', 0.0))
        for first in range(0, len(clips), self.batch_size):
            batch = clips[first : first + self.batch_size]
            results = dict(video, frame_inds=batch.ravel(), num_clips=len(batch))
            packed: Any = self.load(results)
            scores = WindowScores(np.empty(0), batch[:, 0], batch.max(1) + 1, **known)
            yield ClipBatch(packed, (first + len(batch)) / len(clips), scores)
        close_video(video)


def apply_to_clips(
    network: Callable[[dict], Tensor],
    batches: Iterable[tuple[Path, ClipBatch | InputError]],
    progress: Callable[[float], object] = lambda share: None,
) -> Iterator[tuple[Path, WindowScores | InputError]]:
    """Apply a network, from packed clips to views x channels, to the clips of videos.

    The clips of each video come in order, or the error that ended it. It is yielded once, when it
    is done. ``progress`` is called with the share of a video, 0 to 1, that is newly done. Raises an
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
        values = views.unflatten(0, (-1, len(batch.clips.starts))).mean(0).cpu().numpy()
        parts[video].append(batch.clips._replace(values=values))
        if batch.done == 1:
            yield video, join(parts.pop(video))


def join(parts: Sequence[WindowScores]) -> WindowScores:
    """Put the scores of consecutive clips of a video together."""
    values, starts, ends = map(np.concatenate, list(zip(*parts))[:3])
    return parts[0]._replace(values=values, starts=starts, ends=ends)

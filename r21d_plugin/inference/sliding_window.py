"""A network on clips that slide along a video of any length."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from .._errors import InputError
from ..datasets.pipelines import Pipeline
from ..datasets.sampling import SampleClips
from .video_inputs import Failure, compose, video_info


class Clips(NamedTuple):
    """Some clips of a video, one after the other.

    Attributes:
        video (int): Number of the video.
        packed (dict): ``inputs``, views x C x T x H x W (of two streams a dict
            of such), and ``data_samples``, as the pipeline packs them.
        starts (ndarray): Frame at which each clip begins.
        span (int): Frames from the first to the last of a clip, both included.
        frames (int): Frames of the video.
        fps (float): Frames a second; 0 where the pipeline does not open the
            video.
        share (float): Part of the video's clips that these are, 0 to 1.
        last (bool): Whether they are the last of it.
    """

    video: int
    packed: dict
    starts: np.ndarray
    span: int
    frames: int
    fps: float
    share: float
    last: bool


class OverTime(NamedTuple):
    """What a network gives for the sliding clips of a video.

    Attributes:
        video (int): Number of the video.
        values (ndarray): Clips x channels, float32.
        starts (ndarray): Frame at which each clip begins.
        span (int): Frames that a clip covers.
        frames (int): Frames of the video.
        fps (float): Frames a second; 0 if unknown.
    """

    video: int
    values: np.ndarray
    starts: np.ndarray
    span: int
    frames: int
    fps: float

    def at(self, frame: int) -> np.ndarray:
        """Mean values of the clips that cover a frame, else those of the last one before it."""
        begun = self.starts <= frame
        covering = begun & (frame < self.starts + self.span)
        return self.values[covering].mean(0) if covering.any() else self.values[begun][-1]


class SlidingClips(SampleClips):
    """Clips at frames 0, stride, 2 * stride and so on, as many as fit into a video.

    A video shorter than a clip gives one, looped. Where flow is computed a clip
    is longer by its gap (see :class:`~r21d_plugin.datasets.SampleClips`); the
    clips of two streams begin at the same frames.

    Args:
        clip_len (int): Frames of a clip as the network sees it.
        stride (int, optional): Frames from the start of a clip to that of the
            next. Defaults to None: those that a clip of RGB spans.
        **kwargs: Arguments of SampleClips, of which ``num_clips`` is not used.

    Raises:
        InputError: If the stride is less than 1.
    """

    def __init__(self, clip_len: int, stride: int | None = None, **kwargs: Any) -> None:
        super().__init__(clip_len, **dict(kwargs, test_mode=True))
        self.stride = clip_len * self.frame_interval if stride is None else stride
        if self.stride < 1:
            raise InputError(f'stride={stride}: a clip begins at least 1 frame after another')

    def _get_test_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray:
        return np.arange(0, max(num_frames - int(ori_clip_len), 0) + 1, self.stride)

    def _rgb_offsets(self, num_frames: int) -> np.ndarray:
        return np.zeros(1, int)


class SlidingWindow:
    """A pipeline of sliding clips, a few at a time.

    A video is opened once and decoded forward, each frame once, so that one of
    any length takes the memory of a few clips.

    Args:
        pipeline (list[dict]): A test pipeline with ``SampleClips``.
        stride (int, optional): As :class:`SlidingClips` takes it. Defaults to
            None.
        batch_size (int): Clips at a time. Defaults to 8.

    Raises:
        InputError: If there is no such pipeline, or a number is less than 1.
    """

    def __init__(self, pipeline: Pipeline, stride: int | None = None, batch_size: int = 8) -> None:
        if batch_size < 1:
            raise InputError(f'batch_size={batch_size}: at least 1 clip at a time')
        types = [transform['type'].split('.')[-1] for transform in pipeline]
        if 'SampleClips' not in types:
            raise InputError(f'the pipeline has no SampleClips: it has {", ".join(types)}')
        at = types.index('SampleClips')
        arguments = {key: value for key, value in pipeline[at].items() if key != 'type'}
        self.sample = SlidingClips(**arguments, stride=stride)
        self.open = compose([*pipeline[:at], self.sample])
        self.load = compose(pipeline[at + 1 :])
        self.batch_size = batch_size

    def clips(self, path: Path, number: int = 0) -> Iterator[Clips]:
        """The clips of a video.

        Args:
            path (Path): The video.
            number (int): What they have as the number of the video. Defaults
                to 0.

        Raises:
            InputError: If it does not decode.
        """
        video = self.open(video_info(path))
        video['decoded'] = {}  # overlapping clips have frames in common
        clips = video['frame_inds'].reshape(-1, video['clip_len'])
        for first in range(0, len(clips), self.batch_size):
            some = clips[first : first + self.batch_size]
            yield Clips(
                video=number,
                packed=self.load(dict(video, frame_inds=some.ravel(), num_clips=len(some))),
                starts=some[:, 0],
                span=int(np.ptp(clips[0])) + 1,
                frames=video['total_frames'],
                fps=video.get('avg_fps', 0.0),
                share=len(some) / len(clips),
                last=first + len(some) == len(clips),
            )


class ClipsOfVideos(IterableDataset):
    """The sliding clips of many videos, of which each dataloader worker has its own.

    Args:
        window (SlidingWindow): What gives the clips of one.
        videos (Sequence[Path]): The videos.
    """

    def __init__(self, window: SlidingWindow, videos: Sequence[Path]) -> None:
        self.window = window
        self.videos = videos

    def __iter__(self) -> Iterator[Clips | Failure]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(first, len(self.videos), step):
            left = 1.0
            try:
                for clips in self.window.clips(self.videos[number], number):
                    left -= clips.share
                    yield clips
            except InputError as error:
                yield Failure(number, str(error), left)


def over_time(
    clips: Iterable[Clips | Failure],
    network: Callable[[dict], Tensor],
    advance: Callable[[float], Any] = float,
) -> Iterator[OverTime | Failure]:
    """Apply a network to the clips of videos and put together what belongs together.

    Args:
        clips (Iterable[Clips or Failure]): Clips, those of each video in order.
        network (Callable): Function from packed clips to views x channels.
        advance (Callable): Called with the part of a video, 0 to 1, that was
            done since the last call. Defaults to one without effect.

    Yields:
        OverTime or Failure: Each video, when all of it is done.
    """
    pieces: dict[int, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for some in clips:
        advance(some.share)
        if isinstance(some, Failure):
            pieces.pop(some.video, None)
            yield some
            continue
        with torch.no_grad():
            views = network(some.packed).float()
        # A clip of several crops has a view for each.
        values = views.unflatten(0, (-1, len(some.starts))).mean(0)
        pieces[some.video].append((values.cpu().numpy(), some.starts))
        if some.last:
            joined, starts = map(np.concatenate, zip(*pieces.pop(some.video), strict=True))
            yield OverTime(some.video, joined, starts, some.span, some.frames, some.fps)

"""Sample the frames of clips."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import numpy as np
from mmaction.datasets.transforms import SampleFrames

from .._errors import InputError, check_whole
from .._registries import TRANSFORMS
from .checks import check_rate
from .frame_times import FrameTimes

BY_FRAMES_ONLY = ('temporal_jitter', 'twice_sample', 'keep_tail_frames')


@TRANSFORMS.register_module()
class SampleFramesOfClips(SampleFrames):
    """MMAction2's SampleFrames with the authors' test clips, sampled by frame number or by time.

    Training clips start at a uniformly random frame. Test clips start at ``floor(i * (N - needed) /
    (clips - 1))``, where SampleFrames rounds; a single test clip is in the middle. A video shorter
    than a clip is looped. A clip of L flow fields needs L + 1 frames (``flow_gap=1``); its L RGB
    frames begin at ``rgb_offsets``. If frames are consecutive, they are those of a test without
    flow. With larger steps they may begin earlier, by less than a step.

    With ``target_fps``, clips are sampled as from a video with that frame rate: frame k of a clip
    that begins at time t is the frame shown at ``t + k * frame_interval / target_fps``, and test
    clips are spread evenly over time. A clip begins with a frame. Times are the video's timestamps
    if its frame rate varies or is unknown; otherwise they follow from the rate. Frames are repeated
    if the video's rate is lower.

    Args:
        clip_len (int): Length L of a clip as the network sees it.
        flow_gap (int): 1 if flow is computed. Defaults to 0.
        frame_interval (int): Step between the frames of a clip. Defaults to 1.
        num_clips (int or str): Clips per video. ``'all'``, for tests with one video at a time,
            takes a clip from every frame at which a whole clip can begin. Defaults to 1.
        target_fps (float, optional): Frame rate to which ``frame_interval`` refers. Defaults to
            None: the frames of the video.
        **kwargs: Further arguments of SampleFrames: ``test_mode`` ...

    Raises:
        InputError: If a value is invalid, or one of ``kwargs`` is incompatible with ``target_fps``.
    """

    def __init__(
        self,
        clip_len: int,
        flow_gap: int = 0,
        frame_interval: int = 1,
        num_clips: int | Literal['all'] = 1,
        target_fps: float | None = None,
        **kwargs: Any,
    ) -> None:
        known = inspect.signature(SampleFrames.__init__).parameters
        if unknown := kwargs.keys() - known.keys():  # SampleFrames ignores them
            raise InputError(
                f'SampleFramesOfClips has no argument {min(unknown)}: correct or drop it'
            )
        check_whole('flow_gap', flow_gap, least=0)
        check_whole('clip_len', clip_len)
        check_whole('frame_interval', frame_interval)
        self.takes_all = num_clips == 'all'
        if self.takes_all and not kwargs.get('test_mode'):
            raise InputError("num_clips='all': for tests: add test_mode=True")
        count = 1 if num_clips == 'all' else num_clips
        check_whole('num_clips', count)
        if target_fps is not None:
            check_rate('target_fps', target_fps)
            for name in BY_FRAMES_ONLY:
                if kwargs.get(name):
                    raise InputError(f'target_fps={target_fps} with {name}: drop one of them')
        super().__init__(clip_len + flow_gap, frame_interval, count, **kwargs)
        self.flow_gap, self.target_fps = flow_gap, target_fps

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``frame_inds``, ``clip_len`` (of frames), ``num_clips`` and ``frame_interval``."""
        if self.target_fps is not None:
            return self._sample_by_time(results, self.target_fps)
        results = super().transform(results)
        if self.takes_all:
            results['num_clips'] = len(results['frame_inds']) // self.clip_len
        if self.flow_gap:
            results['rgb_offsets'] = self._rgb_offsets(results['total_frames'])
        return results

    def _rgb_offsets(self, num_frames: int) -> np.ndarray:
        if not self.test_mode or self.takes_all:
            return np.zeros(self.num_clips, int)
        flow_len = self._get_ori_clip_len(1.0)
        rgb_len = flow_len - self.flow_gap * self.frame_interval
        starts = [self._get_test_clips(num_frames, length) for length in (rgb_len, flow_len)]
        offsets: np.ndarray = (starts[0] - starts[1]) // self.frame_interval
        return offsets.astype(int)

    def _get_test_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray:
        if self.takes_all:
            return np.arange(max(num_frames - int(ori_clip_len), 0) + 1)
        if self.num_clips == 1 or self.twice_sample:
            return super()._get_test_clips(num_frames, ori_clip_len)
        last_start = max(num_frames - ori_clip_len, 0)
        return np.arange(self.num_clips) * last_start // (self.num_clips - 1)

    def _sample_by_time(self, results: dict[str, Any], target_fps: float) -> dict[str, Any]:
        times = FrameTimes.of(results)
        step = self.frame_interval / target_fps
        firsts = self._first_frames(times, step, self.clip_len)
        moments = times.starts[firsts][:, None] + np.arange(self.clip_len) * step
        if self.out_of_bound_opt == 'repeat_last':
            moments = np.maximum.accumulate(np.where(times.are_inside(moments), moments, 0), axis=1)
        results['frame_inds'] = times.shown_at(moments).ravel() + results['start_index']
        results['clip_len'] = self.clip_len
        results['frame_interval'] = self.frame_interval
        results['num_clips'] = len(firsts)
        if self.flow_gap:
            results['rgb_offsets'] = self._rgb_offsets_by_time(times, step, firsts)
        return results

    def _first_frames(self, times: FrameTimes, step: float, clip_len: int) -> np.ndarray:
        """Return the numbers of the first frames of clips; ``step`` is in seconds."""
        if not self.test_mode:
            count = len(times.starts)
            fitting = (times.starts + clip_len * step <= times.end + times.slack).sum()
            return self._get_train_clips(count, count - fitting + 1).astype(int)
        last = last_first_frame(times, step, clip_len)
        if self.takes_all:
            return np.arange(last + 1)
        return times.shown_at(times.starts[last] * spread(self.num_clips))

    def _rgb_offsets_by_time(
        self, times: FrameTimes, step: float, firsts: np.ndarray
    ) -> np.ndarray:
        if not self.test_mode or self.takes_all:
            return np.zeros(self.num_clips, int)
        alone = self._first_frames(times, step, self.clip_len - self.flow_gap)
        later = times.starts[alone] - times.starts[firsts] + times.slack
        offsets: np.ndarray = later // step
        return offsets.astype(int).clip(0, self.flow_gap)


def last_first_frame(times: FrameTimes, step: float, clip_len: int) -> int:
    """Return the last frame at which a clip can begin and still end within the video.

    The frames of a clip are ``step`` seconds apart. Returns 0 if the video is shorter than a clip.
    """
    fitting = times.are_inside(times.starts + (clip_len - 1) * step)
    return max(int(fitting.sum()) - 1, 0)


def spread(count: int) -> np.ndarray:
    """Return evenly spaced numbers from 0 to 1; a single number is 0.5."""
    return np.arange(count) / (count - 1) if count > 1 else np.array([0.5])


SampleClips = SampleFramesOfClips  # its name in configs of earlier releases
TRANSFORMS.register_module('SampleClips', module=SampleFramesOfClips)

"""Where the clips of a video start."""

import numpy as np
from mmaction.datasets.transforms import SampleFrames

from .._errors import check_whole
from .._registries import TRANSFORMS


@TRANSFORMS.register_module()
class SampleFramesOfClips(SampleFrames):
    """MMAction2's SampleFrames with the authors' test clips.

    Training clips start at a uniformly random frame, and test clips at ``floor(i * (N - needed) /
    (clips - 1))``, where SampleFrames rounds; a single test clip is the middle one. A video shorter
    than a clip is looped. A clip of L flow fields needs L + 1 frames (``flow_gap=1``);
    ``rgb_offsets`` is where its L frames of RGB begin, which are those of a test without flow.

    Args:
        clip_len (int): Length L of a clip as the network sees it.
        flow_gap (int): 1 where flow is computed. Defaults to 0.
        frame_interval (int): Step between the frames of a clip. Defaults to 1.
        num_clips (int): Clips of a video. Defaults to 1.
        **kwargs: Further arguments of SampleFrames: ``test_mode`` ...
    """

    def __init__(
        self,
        clip_len: int,
        flow_gap: int = 0,
        frame_interval: int = 1,
        num_clips: int = 1,
        **kwargs,
    ) -> None:
        check_whole('flow_gap', flow_gap, least=0)
        check_whole('clip_len', clip_len)
        check_whole('frame_interval', frame_interval)
        check_whole('num_clips', num_clips)
        super().__init__(clip_len + flow_gap, frame_interval, num_clips, **kwargs)
        self.flow_gap = flow_gap

    def transform(self, results: dict) -> dict:
        """Add ``frame_inds``, ``clip_len`` (of frames), ``num_clips`` and ``frame_interval``."""
        results = super().transform(results)
        if self.flow_gap:
            results['rgb_offsets'] = self._rgb_offsets(results['total_frames'])
        return results

    def _rgb_offsets(self, num_frames: int) -> np.ndarray:
        if not self.test_mode:
            return np.zeros(self.num_clips, int)
        flow_len = self._get_ori_clip_len(1.0)
        rgb_len = flow_len - self.flow_gap * self.frame_interval
        starts = [self._get_test_clips(num_frames, length) for length in (rgb_len, flow_len)]
        return ((starts[0] - starts[1]) // self.frame_interval).astype(int)

    def _get_test_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray:
        if self.num_clips == 1 or self.twice_sample:
            return super()._get_test_clips(num_frames, ori_clip_len)
        last_start = max(num_frames - ori_clip_len, 0)
        return np.arange(self.num_clips) * last_start // (self.num_clips - 1)


SampleClips = SampleFramesOfClips  # its name in configs of earlier releases
TRANSFORMS.register_module('SampleClips', module=SampleFramesOfClips)

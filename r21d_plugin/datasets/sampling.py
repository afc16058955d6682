"""Where the clips of a video start."""

import numpy as np
from mmaction.datasets.transforms import SampleFrames

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class SampleClips(SampleFrames):
    """MMAction2's SampleFrames with the authors' test clips.

    Training clips are consecutive frames at a uniformly random start, as
    SampleFrames takes them. Test clips start at ``floor(i * (N - needed) /
    (clips - 1))``, evenly from the first frame to the last possible start,
    where SampleFrames rounds; a single test clip is the middle one. A video
    shorter than a clip is looped.

    Args:
        clip_len (int): Frames of a clip.
        frame_interval (int): Step between its frames. Defaults to 1.
        num_clips (int): Clips of a video. Defaults to 1.
        test_mode (bool): Whether to take test clips. Defaults to False.
        **kwargs: Further arguments of SampleFrames.
    """

    def _get_test_clips(self, num_frames: int, ori_clip_len: float) -> np.ndarray:
        if self.num_clips == 1 or self.twice_sample:
            return super()._get_test_clips(num_frames, ori_clip_len)
        last_start = max(num_frames - ori_clip_len, 0)
        return np.arange(self.num_clips) * last_start // (self.num_clips - 1)

"""Which videos an epoch takes, and where the clips of a video start."""

import math
from collections.abc import Iterator, Sized

import numpy as np
import torch
from mmaction.datasets.transforms import SampleFrames
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from .._errors import InputError
from .._registries import DATA_SAMPLERS, TRANSFORMS
from .checks import check_count


@DATA_SAMPLERS.register_module()
class EpochSizeSampler(Sampler[int]):
    """An epoch of a given number of clips over any number of videos.

    Section 4.1: an epoch is 1M clips, although Kinetics has 240k videos. The clips of all epochs
    are one endless sequence of permutations of all videos, so each video is seen before any
    repeats. Rank r takes every world-size-th clip of an epoch, from the r-th on. The order depends
    on seed and epoch alone, so a resumed run continues as the unbroken one.

    Args:
        dataset (Sized): The dataset.
        epoch_size (int): Clips of an epoch over all ranks, rounded up to fill them equally.
        seed (int, optional): Seed of the order. Defaults to None: the ranks agree on one.
    """

    def __init__(self, dataset: Sized, epoch_size: int, seed: int | None = None) -> None:
        if epoch_size < 1:
            raise InputError(f'epoch_size={epoch_size}: an epoch needs at least one clip')
        if len(dataset) == 0:
            raise InputError('the training dataset is empty: its annotation file lists no video')
        self.rank, self.world_size = get_dist_info()
        self.num_videos = len(dataset)
        self.num_samples = math.ceil(epoch_size / self.world_size)
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        length = self.num_samples * self.world_size
        first, offset = divmod(self.epoch * length, self.num_videos)
        count = math.ceil((offset + length) / self.num_videos)
        order = torch.cat([self._permutation(first + i) for i in range(count)])
        yield from order[offset : offset + length][self.rank :: self.world_size].tolist()

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to iterate over; MMEngine calls it before each."""
        self.epoch = epoch

    def _permutation(self, number: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed + number)
        return torch.randperm(self.num_videos, generator=generator)


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
        check_count('flow_gap', flow_gap, least=0)
        check_count('clip_len', clip_len)
        check_count('frame_interval', frame_interval)
        check_count('num_clips', num_clips)
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

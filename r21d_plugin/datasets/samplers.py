"""Which videos an epoch takes."""

import math
from collections.abc import Iterator, Sized

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from .._errors import InputError
from .._registries import DATA_SAMPLERS


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

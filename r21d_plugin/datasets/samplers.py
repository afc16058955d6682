"""Data sampler for epochs of a given size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sized
from fnmatch import fnmatchcase
from os.path import basename

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from .._errors import InputError, check_whole
from .._registries import DATA_SAMPLERS
from .wrappers import inner_datasets


@DATA_SAMPLERS.register_module()
class EpochSizeSampler(Sampler[int]):
    """Sampler of epochs with a given number of clips, for any number of videos.

    In Section 4.1, an epoch is 1M clips although Kinetics has 240k videos. The clips of all epochs
    form one endless sequence of permutations of all videos, so every video is seen before any is
    repeated. Rank r takes every world-size-th clip of an epoch, beginning with clip r. The order
    depends only on seed and epoch, so a resumed run continues like an uninterrupted one.

    Args:
        dataset (Sized): The dataset.
        epoch_size (int, optional): Clips per epoch over all ranks, rounded up to a multiple of the
            world size. Defaults to None: the size in ``epoch_sizes``, else the number of videos.
        epoch_sizes (Mapping[str, int], optional): Clips per epoch by the name of the annotation
            file (``'hmdb51_train_split_*_videos.txt'``). A config that derives from a benchmark's
            but uses other data thus does not inherit the benchmark's epoch size.
        seed (int, optional): Seed of the order. Defaults to None: a random seed shared by all
            ranks.
    """

    def __init__(
        self,
        dataset: Sized,
        epoch_size: int | None = None,
        epoch_sizes: Mapping[str, int] | None = None,
        seed: int | None = None,
    ) -> None:
        if len(dataset) == 0:
            raise InputError('the training dataset is empty: its annotation file lists no video')
        if epoch_size is None:
            epoch_size = epoch_size_of(dataset, epoch_sizes or {})
        check_whole('train_dataloader.sampler.epoch_size', epoch_size)
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
        """Set the epoch to iterate over; MMEngine calls this method before each epoch."""
        self.epoch = epoch

    def _permutation(self, number: int) -> torch.Tensor:
        # Do not add seed and number: runs with consecutive seeds would share permutations.
        (seed,) = np.random.SeedSequence([self.seed, number]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(seed))
        return torch.randperm(self.num_videos, generator=generator)


def epoch_size_of(dataset: Sized, sizes: Mapping[str, int]) -> int:
    """Return the size whose pattern matches all annotation files, else the dataset's length."""
    files = [basename(getattr(inner, 'ann_file', None) or '') for inner in inner_datasets(dataset)]
    for pattern, size in sizes.items():
        if all(fnmatchcase(file, pattern) for file in files):
            return size
    return len(dataset)

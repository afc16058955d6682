"""Which videos an epoch takes."""

import math
from collections.abc import Iterator, Sized
from fnmatch import fnmatchcase
from os.path import basename

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.logging import print_log
from torch.utils.data import Sampler

from .._errors import InputError, check_whole
from .._registries import DATA_SAMPLERS
from .wrappers import inner_datasets


class EpochSizeOf(int):
    """An epoch size in the config of a benchmark, which other data do not inherit.

    It is an ordinary number with an attribute, ``lists``: a pattern of the names of annotation
    files (``'hmdb51_train_split_*_videos.txt'``). Where a config derives from that of a benchmark
    and names another file, :class:`EpochSizeSampler` takes the size of the dataset. A number that
    the derived config, or an option, gives is a plain one, and counts whatever the data.
    """

    lists: str

    def __new__(cls, size: int, lists: str = '*') -> 'EpochSizeOf':
        """Make a number of ``size`` clips for annotation files whose names match ``lists``."""
        number = super().__new__(cls, size)
        number.lists = lists
        return number

    def counts_for(self, dataset: Sized) -> bool:
        """Whether all annotation files of a dataset, wrapped or not, have such names."""
        files = [getattr(inner, 'ann_file', '') for inner in inner_datasets(dataset)]
        return all(fnmatchcase(basename(file or ''), self.lists) for file in files)


@DATA_SAMPLERS.register_module()
class EpochSizeSampler(Sampler[int]):
    """An epoch of a given number of clips over any number of videos.

    Section 4.1: an epoch is 1M clips, although Kinetics has 240k videos. The clips of all epochs
    are one endless sequence of permutations of all videos, so each video is seen before any
    repeats. Rank r takes every world-size-th clip of an epoch, from the r-th on. The order depends
    on seed and epoch alone, so a resumed run continues as the unbroken one.

    Args:
        dataset (Sized): The dataset.
        epoch_size (int, optional): Clips of an epoch over all ranks, rounded up to fill them
            equally. Defaults to None: as many as the dataset has videos.
        seed (int, optional): Seed of the order. Defaults to None: the ranks agree on one.
    """

    def __init__(
        self, dataset: Sized, epoch_size: int | None = None, seed: int | None = None
    ) -> None:
        if len(dataset) == 0:
            raise InputError('the training dataset is empty: its annotation file lists no video')
        epoch_size = choose_epoch_size(dataset, epoch_size)
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
        # Not their sum: runs of neighbouring seeds would have the same permutations, shifted.
        (seed,) = np.random.SeedSequence([self.seed, number]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(seed))
        return torch.randperm(self.num_videos, generator=generator)


def choose_epoch_size(dataset: Sized, epoch_size: int | None) -> int:
    """Clips of an epoch: ``epoch_size``, or the size of the dataset if it is None or of others."""
    if epoch_size is None:
        return len(dataset)
    check_whole('train_dataloader.sampler.epoch_size', epoch_size)
    if not isinstance(epoch_size, EpochSizeOf) or epoch_size.counts_for(dataset):
        return epoch_size
    print_log(
        f'an epoch is the dataset, {len(dataset):,} clips: the {epoch_size:,} of the config that '
        f'this one derives from are for {epoch_size.lists}; '
        'set train_dataloader.sampler.epoch_size for another number',
        'current',
    )
    return len(dataset)

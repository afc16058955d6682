from collections import Counter
from itertools import chain

import pytest
from mmengine.config import Config
from support import ROOT

from r21d_plugin import InputError
from r21d_plugin.datasets import EpochSizeSampler, samplers


def epochs(sampler, count, first=0):
    out = []
    for epoch in range(first, first + count):
        sampler.set_epoch(epoch)
        out.append(list(sampler))
    return out


def on_rank(monkeypatch, rank, world_size, *args, **kwargs):
    monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, world_size))
    return EpochSizeSampler(*args, **kwargs)


@pytest.mark.parametrize('epoch_size', [1, 3, 10, 23, 100])
def test_every_video_before_any_repeats(epoch_size):
    sampler = EpochSizeSampler(range(10), epoch_size, seed=0)
    assert len(sampler) == epoch_size
    stream = list(chain(*epochs(sampler, 60)))
    assert len(stream) == 60 * epoch_size
    for start in range(0, len(stream) - 9, 10):
        assert sorted(stream[start : start + 10]) == list(range(10))


def test_rounds_are_reshuffled():
    first, second = epochs(EpochSizeSampler(range(50), 50, seed=0), 2)
    assert first != second


def test_reproducible_from_seed_and_epoch():
    whole = epochs(EpochSizeSampler(range(10), 7, seed=3), 6)
    resumed = epochs(EpochSizeSampler(range(10), 7, seed=3), 3, first=3)
    assert resumed == whole[3:]
    assert epochs(EpochSizeSampler(range(10), 7, seed=4), 6) != whole


@pytest.mark.parametrize('world_size', [2, 3, 8])
def test_ranks_share_an_epoch_without_overlap(monkeypatch, world_size):
    size = 12 * world_size
    ranks = [
        on_rank(monkeypatch, r, world_size, range(size), size, seed=0) for r in range(world_size)
    ]
    assert {len(sampler) for sampler in ranks} == {12}
    for epoch in range(3):
        union = Counter(chain(*(epochs(sampler, 1, epoch)[0] for sampler in ranks)))
        assert union == Counter(range(size))


def test_ranks_have_equal_length_when_the_epoch_does_not_divide(monkeypatch):
    ranks = [on_rank(monkeypatch, r, 4, range(100), 10, seed=0) for r in range(4)]
    lengths = [len(epochs(sampler, 1)[0]) for sampler in ranks]
    assert lengths == [3, 3, 3, 3]


def test_kinetics_size_is_quick_and_exact():
    sampler = EpochSizeSampler(range(240_000), 1_000_000, seed=0)
    counts = Counter(epochs(sampler, 1, first=44)[0])
    assert len(counts) == 240_000
    assert set(counts.values()) <= {3, 4, 5, 6}
    assert sum(counts.values()) == 1_000_000


def test_neighbouring_seeds_share_no_shuffle():
    """Nor does an epoch of one seed have the order of the next epoch of another."""
    shuffles = [
        tuple(epoch)
        for seed in range(5)
        for epoch in epochs(EpochSizeSampler(range(50), seed=seed), 5)
    ]
    assert len(set(shuffles)) == 25


@pytest.mark.parametrize(('size', 'shown'), [(0, '0'), (-3, '-3'), (1.5, '1.5'), ('all', "'all'")])
def test_bad_sizes(size, shown):
    with pytest.raises(InputError, match=rf'train_dataloader\.sampler\.epoch_size={shown}: use a'):
        EpochSizeSampler(range(10), size)


def test_an_empty_dataset():
    with pytest.raises(InputError, match='empty'):
        EpochSizeSampler([], 10)


class Videos(list):
    """Dataset of seven videos."""

    def __init__(self, ann_file):
        super().__init__(range(7))
        self.ann_file = ann_file


class Wrapper(list):
    """Concatenated datasets, in the attributes of ConcatDataset."""

    def __init__(self, *datasets):
        super().__init__(chain(*datasets))
        self.datasets = datasets


def test_an_epoch_is_the_dataset_by_default():
    assert len(EpochSizeSampler(range(10))) == 10
    assert len(EpochSizeSampler(Wrapper(Videos('a.txt'), Videos('b.txt')))) == 14


KINETICS = 'elsewhere/kinetics400_train_list_videos.txt'


@pytest.mark.parametrize(
    ('dataset', 'length'),
    [
        (Videos(KINETICS), 1_000_000),
        (Videos('mine/train.txt'), 7),
        (Wrapper(Videos(KINETICS), Videos(KINETICS)), 1_000_000),
        (Wrapper(Videos(KINETICS), Videos('mine/train.txt')), 14),
    ],
)
def test_other_data_do_not_inherit_the_epoch_of_a_benchmark(dataset, length):
    cfg = Config.fromfile(ROOT / 'configs/r2plus1d_18_kinetics.py')
    sampler = cfg.train_dataloader.sampler
    assert sampler.pop('type') == 'r21d_plugin.EpochSizeSampler'
    assert len(EpochSizeSampler(dataset, **sampler)) == length
    assert len(EpochSizeSampler(dataset, **sampler, epoch_size=1_000_000)) == 1_000_000


@pytest.mark.parametrize('split', ['1', '2'])
def test_splits_have_the_epoch_of_their_benchmark(split, monkeypatch):
    monkeypatch.setenv('SPLIT', split)
    cfg = Config.fromfile(ROOT / 'configs/r2plus1d_34_hmdb51_from_kinetics.py')
    loader = cfg.train_dataloader
    dataset, sizes = Videos(loader.dataset.ann_file), loader.sampler.epoch_sizes
    assert len(EpochSizeSampler(dataset, epoch_sizes=sizes)) == 40_000

"""Groups of own videos from one source, and how groups are split."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from r21d_plugin.datasets.own_groups import find_groups, source_name, split_groups
from r21d_plugin.datasets.own_sources import OwnVideo


@pytest.mark.parametrize(
    ('stem', 'source'),
    [
        ('v_Archery_g01_c01', 'v_Archery_g01'),
        ('my video-00012', 'my video'),
        ('a_seg3', 'a'),
        ('a_seg3_c01', 'a'),
        ('a-Scene-001', 'a'),
        ('a part 2', 'a'),
        ('A.CLIP_7', 'A'),
        ('dQw4w9WgXcQ_000010_000020', 'dQw4w9WgXcQ'),
        ('dQw4w9WgXc-_000010_000020', 'dQw4w9WgXc-'),
        ('dQw4w9WgX-__000010_000020', 'dQw4w9WgX-_'),
        ('a - clip 3', 'a'),
        ('видео_c02', 'видео'),
        ('c01', ''),
        ('00012', ''),
        ('-00012', ''),
        ('_c01', ''),
        ('IMG_0001', ''),
        ('VID_20230101_123456', ''),
        ('2023-05-01', ''),
        ('music01', ''),
        ('walk_12', ''),
        ('person_p01', ''),
        ('walk_c01', ''),  # the name of the class
        ('Walk-clip02', ''),
        ('walking_c01', 'walking'),
    ],
)
def test_names_of_parts(stem, source):
    assert source_name(f'walk/{stem}.mp4', 'walk') == source


def paths(groups):
    return sorted(sorted(video.path for video in group) for group in groups)


def test_groups():
    names = ('a_c01', 'a_c02', 'b_c01', 'b_c02', 'c', 'd', 'e')
    videos = [OwnVideo(name, 'x') for name in names]
    videos[0].group = videos[2].group = 'one'
    contents = {'b_c02': 'same', 'c': 'same', 'd': 'else'}
    assert paths(find_groups(videos, contents)) == [
        *(['a_c01', 'b_c01'], ['a_c02'], ['b_c02', 'c'], ['d'], ['e'])
    ], 'the column is the truth'
    videos[0].group = videos[2].group = ''
    assert paths(find_groups(videos, contents))[:2] == [
        *(['a_c01', 'a_c02'], ['b_c01', 'b_c02', 'c'])
    ]
    assert len(find_groups(videos, {}, by_name=False)) == len(names)


def test_parts_of_one_file():
    videos = [OwnVideo('a', 'x', seconds=(0, 1)), OwnVideo('a', 'x', seconds=(1, 2))]
    assert len(find_groups(videos, {})) == 1


def test_groups_joined_by_chains():
    contents = {f'{i}{part}': str(i + (part == 'b')) for i in range(2000) for part in 'ab'}
    videos = [OwnVideo(path, 'a', group=path[:-1]) for path in contents]
    random.Random(0).shuffle(videos)
    assert len(find_groups(videos, contents)) == 1


SHARES = dict(val=0.2, test=0.1)


def alone(**numbers: int) -> list[list[OwnVideo]]:
    """Make groups of one video each, with the given number for each class."""
    return [[OwnVideo(f'{c}/{i}', c)] for c, number in numbers.items() for i in range(number)]


def count(groups) -> dict[str, Counter]:
    found: dict[str, Counter] = {}
    for video in (video for group in groups for video in group):
        found.setdefault(video.split, Counter())[video.label] += 1
    return found


def test_shares_of_each_class():
    groups = alone(a=100, b=10, c=3, d=2, e=1)
    split_groups(groups, SHARES, 0)
    assert count(groups) == dict(
        train=dict(a=70, b=7, c=1, d=1, e=1),
        val=dict(a=20, b=2, c=1, d=1),
        test=dict(a=10, b=1, c=1),
    )


def test_the_split_depends_only_on_paths_and_seed():
    def split(seed, shuffle):
        groups = alone(a=20, b=20)
        random.Random(shuffle).shuffle(groups)
        split_groups(groups, SHARES, seed)
        return {video.path: video.split for group in groups for video in group}

    assert split(0, 1) == split(0, 2)
    assert split(0, 1) != split(1, 1)


def test_no_group_is_split():
    """With random groups over several classes. A class with two groups of its own can be tested."""
    for seed in range(20):
        rng = random.Random(seed)
        groups = [
            [OwnVideo(f'{g}/{i}', rng.choice('abcd')) for i in range(rng.choice((1, 1, 2, 5)))]
            for g in range(60)
        ]
        split_groups(groups, SHARES, seed)
        assert all(len({video.split for video in group}) == 1 for group in groups)
        found = count(groups)
        for label, number in sum(found.values(), Counter()).items():
            assert found['train'][label]
            assert -2 < found['val'][label] - number * 0.2 < 5
            assert -2 < found['test'][label] - number * 0.1 < 5


@pytest.mark.parametrize('sizes', [(6, 6), (1, 11), (5, 1), (2, 2)])
def test_groups_larger_than_the_share(sizes):
    """The smaller group is used for validation."""
    groups = [[OwnVideo(f'{g}/{i}', 'a') for i in range(n)] for g, n in enumerate(sizes)]
    split_groups(groups, dict(val=0.2, test=0.0), 0)
    found = count(groups)
    assert (found['train']['a'], found['val']['a']) == (max(sizes), min(sizes))


def test_a_class_of_one_group_trains():
    groups = [[OwnVideo(f'{i}', 'a') for i in range(9)], *alone(b=4)]
    split_groups(groups, SHARES, 0)
    assert count(groups)['train']['a'] == 9


def test_an_existing_split_is_kept():
    groups = alone(a=10)
    for group, split in zip(groups, ('val', 'val', 'val', 'train', 'train')):
        group[0].split = split
    groups[0].append(OwnVideo('a/new', 'a'))
    groups[3].append(OwnVideo('a/other', 'a'))
    split_groups(groups, dict(val=0.2, test=0.0), 0)
    assert [group[0].split for group in groups[:5]] == ['val'] * 3 + ['train'] * 2
    assert (groups[0][1].split, groups[3][1].split) == ('val', 'train')
    assert count(groups) == dict(val=dict(a=4), train=dict(a=8)), 'no more is held out'

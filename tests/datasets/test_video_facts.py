"""Tables beside the lists, which hold the results of checks, and their readers."""

import os
from dataclasses import replace

import numpy as np
import pytest
from mmengine.dataset import Compose
from support import damage, number_of, write_numbered

from r21d_plugin import InputError
from r21d_plugin.datasets import LabelledVideoDataset, video_reader
from r21d_plugin.datasets.video_checks import Checker, Task
from r21d_plugin.datasets.video_facts import (
    HEADER,
    VideoFacts,
    counted_frames,
    inspect_video,
    read_facts,
)
from r21d_plugin.datasets.video_reader import VideoReader

FRAMES = 48
TIMES = np.arange(FRAMES) / 25
GROUPS = dict(bf='2', **{'x264-params': 'keyint=12:scenecut=0'})


@pytest.fixture(autouse=True)
def nothing_known():
    """Clear the cache of frame counts before each test."""
    video_reader.KNOWN_INDEXES.clear()


@pytest.fixture
def make(tmp_path):
    return lambda name, **options: write_numbered(tmp_path / name, TIMES, **(options or GROUPS))


@pytest.mark.parametrize(
    ('name', 'frames_by'), [('a.mp4', 'packets'), ('a.ts', 'times'), ('a.avi', 'order')]
)
@pytest.mark.parametrize('level', ['quick', 'full'])
def test_facts(name, frames_by, level, make):
    path = make(name)
    status = path.stat()
    assert inspect_video(path, f'x/{name}', level) == VideoFacts(
        path=f'x/{name}',
        frames=FRAMES,
        fps=25.0,
        width=96,
        height=64,
        seconds=FRAMES / 25,
        bytes=status.st_size,
        mtime=status.st_mtime_ns,
        frames_by=frames_by,
        verified=level,
    )


def test_decoded_frames(make, decoded_packets):
    path = make('a.mp4')
    inspect_video(path, 'a.mp4', 'quick')
    assert len(decoded_packets) < FRAMES / 2
    decoded_packets.clear()
    inspect_video(path, 'a.mp4', 'full')
    assert FRAMES <= len(decoded_packets) < FRAMES * 3 / 2


@pytest.mark.parametrize(('groups', 'quick'), [((14, 22), True), ((38, 46), False)])
def test_damage(groups, quick, make):
    """The quick check detects damage in the last group of pictures, the full check anywhere."""
    path = make('a.mp4')
    damage(path, *groups)
    with pytest.raises(InputError, match=r'a\.mp4: has damaged frames'):
        inspect_video(path, 'a.mp4', 'full')
    if quick:
        assert inspect_video(path, 'a.mp4', 'quick').frames == FRAMES
    else:
        with pytest.raises(InputError, match=r'a\.mp4: has damaged frames'):
            inspect_video(path, 'a.mp4', 'quick')


@pytest.mark.parametrize('name', ['a.mp4', 'a.avi', 'a.ts'])
def test_truncated(name, make):
    path = make(name)
    os.truncate(path, path.stat().st_size * 2 // 3)
    if name == 'a.ts':  # where nothing says how long it was
        assert inspect_video(path, name, 'full').frames < FRAMES
    else:
        with pytest.raises(InputError, match=f'{name}: (has damaged frames|does not decode)'):
            inspect_video(path, name, 'quick')


def test_packets_with_a_wrong_number_of_frames(make):
    path = make('a.mp4')
    with VideoReader(path) as reader:
        assert len(reader) == FRAMES
    ((identity, index),) = video_reader.KNOWN_INDEXES.items()
    times = [*index.timestamps[:-1], index.timestamps[-1] + 1, index.timestamps[-1] + 2]
    wrong = replace(index, count=FRAMES + 1, timestamps=times)
    video_reader.KNOWN_INDEXES[identity] = wrong
    with VideoReader(path) as reader:
        assert len(reader) == FRAMES + 1
        reader.verify()
        assert len(reader) == reader.counted.frames == FRAMES
        assert number_of(reader.read([FRAMES - 1])[0]) == FRAMES - 1


def test_lines():
    facts = VideoFacts('a\tb c.avi', 9, 29.97, 340, 256, 0.3, 1000, 17 * 10**17, 'order', 'quick')
    assert VideoFacts.parse(str(facts)) == facts
    for line in ('', 'a.avi', HEADER, str(facts)[:-1], f'{facts}\t1'):
        assert VideoFacts.parse(line) is None


def test_a_table_that_ends_within_a_line(tmp_path):
    facts = VideoFacts('a.avi', 9, 25.0, 340, 256, 0.36, 1000, 17, 'order', 'full')
    table = tmp_path / 'list.tsv'
    for cut in range(1, len(str(facts))):
        table.write_text(f'{HEADER}\n{facts}\n' + str(facts._replace(path='b.avi'))[:-cut])
        assert list(read_facts(table)) == [facts]


@pytest.fixture
def dataset(tmp_path, make):
    """Make a dataset of one video, with a table beside its list."""

    def make_dataset(name: str) -> LabelledVideoDataset:
        facts = inspect_video(make(name), name, 'quick')
        (tmp_path / 'list.txt').write_text(f'{name} 0\n')
        (tmp_path / 'list.tsv').write_text(f'{HEADER}\n{facts}\n')
        video_reader.KNOWN_INDEXES.clear()
        pipeline = [
            dict(type='r21d_plugin.OpenVideo'),
            dict(type='r21d_plugin.ReadFrames', scale=(48, 32)),
        ]
        return LabelledVideoDataset(
            str(tmp_path / 'list.txt'),
            num_classes=2,
            data_prefix=dict(video=str(tmp_path)),
            pipeline=pipeline,
        )

    return make_dataset


@pytest.mark.parametrize(('name', 'decoded'), [('a.mp4', 16), ('a.ts', 16), ('a.avi', FRAMES)])
def test_datasets_do_not_count_again(name, decoded, dataset, decoded_packets):
    info = dataset(name).get_data_info(0)
    assert ('counted' in info) == (name != 'a.mp4')
    decoded_packets.clear()
    opened = Compose([dict(type='r21d_plugin.OpenVideo')])(info)
    assert opened['total_frames'] == FRAMES
    assert not decoded_packets
    frames = opened['video_reader'].read([37, 39])
    assert [number_of(frame) for frame in frames] == [37, 39]
    assert 0 < len(decoded_packets) <= decoded


def test_a_changed_video_is_counted_again(dataset, tmp_path, decoded_packets):
    info = dataset('a.avi').get_data_info(0)
    path = tmp_path / 'a.avi'
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    decoded_packets.clear()
    assert Compose([dict(type='r21d_plugin.OpenVideo')])(info)['total_frames'] == FRAMES
    assert len(decoded_packets) == FRAMES


def test_a_wrong_number_is_noticed(make):
    path = make('a.avi')
    with VideoReader(path) as reader:
        counted = reader.counted
    video_reader.KNOWN_INDEXES.clear()
    with VideoReader(path, counted=counted._replace(frames=FRAMES + 5)) as reader:
        reader.verify()
        assert len(reader) == FRAMES


def test_lists_without_a_table(tmp_path):
    (tmp_path / 'list.tsv').write_bytes(bytes(range(256)))
    assert counted_frames(str(tmp_path / 'list.txt')) == {}
    (tmp_path / 'list.tsv').unlink()
    (tmp_path / 'list.tsv').mkdir()
    with pytest.raises(InputError, match=r'list\.tsv: cannot read it: Is a directory'):
        counted_frames(str(tmp_path / 'list.txt'))
    (tmp_path / 'list.tsv').rmdir()
    assert counted_frames(str(tmp_path / 'list.txt')) == {}
    assert counted_frames(str(tmp_path / 'list.tsv')) == {}


def test_an_interrupted_check_resumes(make, tmp_path, decoded_packets):
    path = make('a.mp4')
    quick, full = Checker(tmp_path), Checker(tmp_path, 'full')
    task = Task('a.mp4')
    first = quick.check((task, None))
    decoded_packets.clear()
    again = quick.check((task, first.facts))
    assert again.facts == first.facts
    assert not decoded_packets
    assert full.check((task, first.facts)).facts.verified == 'full'
    os.utime(path, ns=(0, 0))
    assert quick.check((task, first.facts)).facts.mtime == 0
    path.unlink()
    assert quick.check((task, first.facts)).reason == 'no such video'

"""Encoding the videos of a benchmark into a training store."""

from __future__ import annotations

import os

import numpy as np
import pytest
from mmengine.config import Config
from support import ROOT, number_of, write_numbered

from r21d_plugin.datasets import LabelledVideoDataset, annotations, preparation, video_checks
from r21d_plugin.datasets.video_facts import read_facts
from r21d_plugin.datasets.video_reader import VideoReader

FRAMES = 40
ARGUMENTS = ('data/prepare.py', 'kinetics400', '--videos', 'videos', '--annotations')
ARGUMENTS += ('train.csv', 'val.csv', '--store', 'store', '--workers', 1)
HEAD = 'label,youtube_id,time_start,time_end,split\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder with a small Kinetics of three classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(annotations, 'CLASSES', dict.fromkeys(annotations.CLASSES, 3))
    rows = 'a,abc,1,11,train\nb,whole,0.4,1,train\nc,half,0,10,train\n'
    (tmp_path / 'train.csv').write_text(HEAD + rows)
    (tmp_path / 'val.csv').write_text(f'{HEAD}a,def,0,10,val\n')
    (tmp_path / 'videos/x').mkdir(parents=True)
    for name in ('x/abc_000001_000011.mkv', 'whole.mp4', 'half.avi', 'def.mp4'):
        write_numbered(tmp_path / 'videos' / name, np.arange(FRAMES) / 25)
    half = tmp_path / 'videos/half.avi'
    os.truncate(half, half.stat().st_size * 3 // 4)
    return tmp_path


@pytest.fixture
def encoded(monkeypatch):
    """Record the videos that this process encodes."""
    store, seen = video_checks.store_video, []

    def note(source, *arguments):
        seen.append(source.name)
        return store(source, *arguments)

    monkeypatch.setattr(video_checks, 'store_video', note)
    monkeypatch.setattr(preparation, 'parallel_map', lambda f, items, _: map(f, items))
    return seen


def read(path):
    return path.read_text(encoding='utf-8').splitlines()


def numbers_in(path) -> list[int]:
    with VideoReader(path) as reader:
        return [number_of(frame) for frame in reader.frames()]


def test_a_store(folder, tool, capsys):
    tool(*ARGUMENTS)
    out = folder / 'data/kinetics400'
    train = out / 'kinetics400_train_list_videos.txt'
    assert read(train) == ['x/abc_000001_000011.mp4 0', 'whole.mp4 1']
    assert read(out / 'broken_videos.txt') == [
        'train.csv, line 4: half_000000_000010: half.avi: has damaged frames'
    ]
    store = folder / 'store'
    stored = sorted(str(path.relative_to(store)) for path in store.rglob('*.*'))
    assert stored == ['def.mp4', 'whole.mp4', 'x/abc_000001_000011.mp4']
    for facts in read_facts(train.with_suffix('.tsv')):
        assert (facts.width, facts.height, facts.frames) == (171, 128, FRAMES)
        assert facts.bytes == (folder / 'store' / facts.path).stat().st_size
        assert numbers_in(folder / 'store' / facts.path) == list(range(FRAMES))
    printed = capsys.readouterr().out
    assert 'store: 3 videos, ' in printed
    assert '; encoded now: 3, ' in printed

    # The configs find all of these files.
    cfg = Config.fromfile(ROOT / 'configs/r2plus1d_34_kinetics.py')
    data = cfg.train_dataloader.dataset
    arguments = {key: data[key] for key in ('ann_file', 'data_prefix', 'num_classes')}
    dataset = LabelledVideoDataset(pipeline=cfg.train_pipeline, **arguments)
    assert [dataset[i]['inputs'].shape[1:] for i in (0, 1)] == [(3, 32, 112, 112)] * 2


def test_an_interrupted_store_resumes(folder, tool, fails, capsys, encoded):
    tool(*ARGUMENTS)
    whole = ['abc_000001_000011.mkv', 'whole.mp4', 'half.avi', 'def.mp4']
    assert encoded == whole
    (folder / 'store/def.mp4').unlink()
    write_numbered(folder / 'videos/whole.mp4', np.arange(20) / 25)  # another video
    tool(*ARGUMENTS)
    assert encoded == [*whole, 'whole.mp4', 'half.avi', 'def.mp4']
    assert numbers_in(folder / 'store/whole.mp4') == list(range(20))
    message = fails(*ARGUMENTS, '--short-side', 64)
    assert 'abc_000001_000011.mp4: stored as 171x128, not as short side 64: choose' in message


def test_a_store_in_parts(folder, tool, capsys, encoded):
    """Processes encode their parts, and a last run writes all lists."""
    for part in ('0/2', '1/2'):
        tool(*ARGUMENTS, '--shard', part)
        assert 'when all parts are done, run without --shard' in capsys.readouterr().out
        assert not [*(folder / 'data/kinetics400').glob('*.txt')]
    assert sorted(encoded) == ['abc_000001_000011.mkv', 'def.mp4', 'half.avi', 'whole.mp4']
    del encoded[:]
    tool(*ARGUMENTS)
    assert encoded == ['half.avi']  # which is broken
    assert '; encoded now: 0, ' in capsys.readouterr().out
    lists = sorted((folder / 'data/kinetics400').rglob('*.t*'))
    expected = {path.name: path.read_text() for path in lists}
    assert len(expected) == 6
    tool(*ARGUMENTS[:-4], '--store', 'other', '--workers', 1, '--out', 'once')
    for path in lists:
        once = (folder / 'once' / path.name).read_text().splitlines()
        kept = [line.split('\t')[:6] for line in path.read_text().splitlines()]
        assert [line.split('\t')[:6] for line in once] == kept  # except for the times of files


def test_a_damaged_file_of_a_store_is_encoded_again(folder, tool, fails, encoded):
    tool(*ARGUMENTS)
    stored = folder / 'store/def.mp4'
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-500])
    del encoded[:]
    tool(*ARGUMENTS)
    assert encoded == ['half.avi', 'def.mp4']
    assert stored.read_bytes() == whole
    stored.write_bytes(b'')
    message = fails(*ARGUMENTS)
    assert (
        'def.mp4: exists and does not belong to a store: choose another folder, or remove it'
        in message
    )


def test_as_the_authors_did(folder, tool):
    """30 frames a second, a shorter side, and the annotated seconds of whole videos."""
    tool(*ARGUMENTS, '--short-side', 72, '--fps', 30, '--cut')
    train = folder / 'data/kinetics400/kinetics400_train_list_videos.txt'
    assert read(train) == ['x/abc_000001_000011.mp4 0', 'whole_000000_000001.mp4 1']
    first, second = read_facts(train.with_suffix('.tsv'))
    assert (first.frames, first.fps, first.width, first.height) == (48, 30, 108, 72)
    assert (second.frames, second.fps) == (18, 30)
    assert numbers_in(folder / 'store' / second.path)[::6] == [10, 15, 20]


def test_a_store_by_class(folder, tool):
    (folder / 'lists').mkdir()
    for split in (1, 2, 3):
        (folder / f'lists/wave_test_split{split}.txt').write_text('a.avi 1\nb.avi 2\n')
    (folder / 'videos/wave').mkdir()
    for name in 'ab':
        write_numbered(folder / f'videos/wave/{name}.avi', np.arange(9) / 25, codec='mpeg4')
    annotations.CLASSES['hmdb51'] = 1
    arguments = ('data/prepare.py', 'hmdb51', '--videos', 'videos', '--annotations', 'lists')
    tool(*arguments, '--store', 'store', '--workers', 2, '--out', 'there')
    for split in (1, 2, 3):
        lines = read(folder / f'there/hmdb51_train_split_{split}_videos.txt')
        assert lines == ['wave/a.mp4 0']
    assert numbers_in(folder / 'there/videos/wave/b.mp4') == list(range(9))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--no-check',), '--no-check: --store reads the videos'),
        (('--store', 'videos/small'), 'videos/small: is in the folder of the videos: choose'),
        (('--store', '/proc/there'), '/proc/there: cannot write there: '),
        (('--short-side', '3'), '--short-side=3: use a whole number, at least 16'),
        (('--fps', 'nan'), '--fps=nan: use a number of frames a second'),
    ],
)
def test_mistakes(folder, fails, options, message):
    assert message in fails(*ARGUMENTS, *options)
    assert not (folder / 'data').exists()
    assert not (folder / 'store').exists()


def test_options_that_need_a_store(fails):
    arguments = ARGUMENTS[: ARGUMENTS.index('--store')]
    for options in (('--short-side', 64), ('--fps', 30), ('--cut',)):
        assert 'add --store' in fails(*arguments, *options)


def test_originals_are_not_overwritten(folder, fails):
    (folder / 'store').mkdir()
    original = write_numbered(folder / 'store/def.mp4', [0])
    before = original.read_bytes()
    assert 'store/def.mp4: exists and does not belong to a store' in fails(*ARGUMENTS)
    assert original.read_bytes() == before

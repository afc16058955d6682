"""Own videos: a folder of classes, folders of sets, a table."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from own_folders import COMMON, PREPARE, lists, many, nothing_written, read, table
from support import write_video

from r21d_plugin.datasets import LabelledVideoDataset, preparation, video_checks, video_facts
from r21d_plugin.datasets.video_facts import read_facts
from r21d_plugin.datasets.video_reader import VideoReader


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Work in an empty folder; this process checks the videos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preparation, 'parallel_map', lambda f, items, _: map(f, items))
    return tmp_path


def test_a_folder_of_classes(put, tool, capsys):
    put(*many('walk '), *many('jump up', name='deeper/{} "a", \'b\'.mp4'), *many('走る'))
    Path('my/walk /notes.txt').write_text('no video')
    Path('my/walk /._0.mp4').write_text('hidden')
    tool(*PREPARE, 'my/', *COMMON)
    assert sorted(os.listdir('out')) == [
        *('classes.txt', 'train.tsv', 'train.txt', 'val.tsv', 'val.txt', 'videos')
    ]
    classes = read('out/classes.txt')
    assert classes == ['jump up', 'walk', '走る']
    labels = Counter(line[-1] for line in read('out/train.txt'))
    assert labels == {'0': 4, '1': 4, '2': 4}
    for line in read('out/val.txt'):
        path, _, label = line.rpartition(' ')
        assert path.split('/')[0].strip() == classes[int(label)]
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ['class', 'train', 'val'] in printed
    assert ['jump', 'up', '4', '1'] in printed
    assert ['3', 'classes', '12', '3'] in printed
    assert len(printed) == 8, 'the table; short videos; where'
    facts = {facts.path: facts for facts in read_facts(Path('out/train.tsv'))}
    assert facts.keys() == {line.rpartition(' ')[0] for line in read('out/train.txt')}
    assert {found.frames for found in facts.values()} == {10}
    for split, number in (('train', 12), ('val', 3)):
        data = LabelledVideoDataset(
            f'out/{split}.txt', 3, data_prefix=dict(video='out/videos'), pipeline=[]
        )
        assert len(data) == number
        assert all(Path(data.get_data_info(i)['filename']).is_file() for i in range(number))


def test_parts_of_a_source_stay_together(put, tool, capsys):
    names = [f'{source}{part}.mp4' for source in 'abc' for part in ('_c01', '-00012', '_seg3')]
    put(*(f'walk/{name}' for name in names), *(f'run/{name}' for name in names))
    tool(*PREPARE, 'my', *COMMON)
    found: dict[str, set[str]] = {}
    for path, split in lists().items():
        found.setdefault(Path(path).name[0], set()).add(split)
    assert sorted(map(len, found.values())) == [1, 1, 1]
    assert {'val'} in found.values()
    printed = capsys.readouterr().out
    assert 'kept together, by name: 18 videos of 3 source(s), such as run/' in printed

    shutil.rmtree('out')
    tool(*PREPARE, 'my', *COMMON, '--ungrouped')
    assert Counter(lists().values()) == {'train': 14, 'val': 4}
    assert 'kept together' not in capsys.readouterr().out


def test_numbers_after_the_name_of_a_class(put, tool, capsys):
    put(*many('walk', name='walk-00{}.mp4'), *many('run', name='run_c{}.mp4'))
    tool(*PREPARE, 'my', *COMMON)
    assert Counter(lists().values()) == {'train': 8, 'val': 2}
    assert 'kept together' not in capsys.readouterr().out


def test_problems_are_reported(put, tool, capsys):
    put(*many('walk', 6), *many('run', 6), 'run/last.mp4')
    shutil.copy('my/walk/0.mp4', 'my/walk/copy.mp4')
    whole = Path('my/run/last.mp4')
    whole.write_bytes(whole.read_bytes()[:500])
    Path('my/run/text.mp4').write_text('no video')
    shutil.copy('my/run/0.mp4', 'my/run/new\nline.mp4')
    shutil.copy('my/run/1.mp4', 'my/run/' + os.fsdecode(b'\xff.mp4'))
    write_video(Path('my/walk/long.mp4'), 40)
    tool(*PREPARE, 'my', *COMMON)
    assert read('out/duplicate_videos.txt') == ['walk/copy.mp4: the same as walk/0.mp4']
    broken = read('out/broken_videos.txt')
    assert [line.partition(': ')[0] for line in broken] == [
        'run/last.mp4',
        "'run/new\\nline.mp4'",
        'run/text.mp4',
        "'run/\\udcff.mp4'",
    ]
    assert 'has a line break' in broken[1]
    printed = capsys.readouterr().out
    assert 'broken videos: see out/broken_videos.txt, such as run/last.mp4: ' in printed
    assert 'duplicate videos: see out/duplicate_videos.txt, such as walk/copy.mp4: ' in printed
    short = (
        'shorter than a clip of 32 frames, so frames are repeated: 12 video(s), such as run/0.mp4'
    )
    assert short in printed
    rows = [line.split() for line in printed.splitlines()]
    assert ['class', 'train', 'val', 'broken', 'duplicate'] in rows
    assert ['run', '5', '1', '4', '0'] in rows
    assert 'warning' not in printed


def test_few_videos(put, tool, capsys):
    put(*many('walk', 6), *many('run', 4), *many('sit', 1))
    tool(*PREPARE, 'my', *COMMON, '--no-check')
    printed = capsys.readouterr().out
    assert 'warning: classes with under 5 videos: run (4), sit (1)' in printed
    assert 'warning: classes without a val video: sit: add videos of other sources' in printed
    assert not list(Path('out').glob('*.tsv'))


def test_classes_that_are_numbers(put, tool):
    names = ['-2', '-1', '0.5', '9', '9.5', '10']
    put(*(path for name in names for path in many(name, 2)))
    tool(*PREPARE, 'my', *COMMON, '--no-check')
    assert read('out/classes.txt') == names


def test_again_with_more_videos(put, tool, capsys, monkeypatch):
    """Old videos keep their set and number, and are not checked again."""
    put(*many('walk', 10), *many('run', 10), 'walk/a_c01.mp4')
    tool(*PREPARE, 'my', *COMMON)
    before, inspect, inspected = lists(), video_facts.inspect_video, []

    def note(video, path, level):
        inspected.append(path)
        return inspect(video, path, level)

    monkeypatch.setattr(video_checks, 'inspect_video', note)
    put('walk/a_c02.mp4', 'run/00.mp4', *many('climb', 5))
    tool(*PREPARE, 'my', *COMMON, '--seed', 7, '--test', 0.1)
    after = lists()
    assert {path: after[path] for path in before} == before
    assert after['walk/a_c02.mp4'] == before['walk/a_c01.mp4']
    assert sorted(inspected) == sorted(after.keys() - before.keys())
    assert {split for path, split in after.items() if path.startswith('climb')} == {
        *('train', 'val', 'test')
    }
    assert read('out/classes.txt') == ['run', 'walk', 'climb']

    shutil.rmtree('my/run')
    capsys.readouterr()
    tool(*PREPARE, 'my', *COMMON)
    assert 'warning: classes are gone: run: class numbers changed' in capsys.readouterr().out
    assert read('out/classes.txt') == ['walk', 'climb']


def test_again_with_a_set_for_tests(put, tool, capsys):
    put(*many('walk'), *many('run'))
    for kept in (False, True):
        tool(*PREPARE, 'my', *COMMON, '--no-check', *(['--test', 0.4] if kept else []))
        note = 'no test videos: the sets of out are kept: remove it to split anew'
        assert (note in capsys.readouterr().out.splitlines()) == kept


def test_again_without_opening_a_changed_video(put, tool):
    put(*many('walk', 2), *many('run', 2))
    tool(*PREPARE, 'my', *COMMON)
    write_video(Path('my/walk/0.mp4'), 12)
    tool(*PREPARE, 'my', *COMMON, '--no-check')
    facts = {facts.path for path in Path('out').glob('*.tsv') for facts in read_facts(path)}
    assert facts == {'walk/1.mp4', *many('run', 2)}


def test_again_with_fewer_videos(put, tool):
    """Files that an earlier run wrote and this one does not are removed."""
    put(*(path for s in ('train', 'val', 'test') for c in 'ab' for path in many(f'{s}/{c}', 2)))
    Path('my/val/a/text.mp4').write_text('no video')
    tool(*PREPARE, 'my', *COMMON)
    assert {'test.txt', 'test.tsv', 'broken_videos.txt'} <= set(os.listdir('out'))
    shutil.rmtree('my/test')
    Path('my/val/a/text.mp4').unlink()
    tool(*PREPARE, 'my', *COMMON)
    assert sorted(os.listdir('out')) == [
        *('classes.txt', 'train.tsv', 'train.txt', 'val.tsv', 'val.txt', 'videos')
    ]


def test_again_with_copies(put, tool):
    """The old video stays in the list, even if a copy of it comes first."""
    put(*many('walk'), *many('run'))
    tool(*PREPARE, 'my', *COMMON)
    before = lists()
    for name in os.listdir('my/walk'):
        shutil.copy(f'my/walk/{name}', f'my/walk/+{name}')
    tool(*PREPARE, 'my', *COMMON)
    assert lists() == before
    assert len(read('out/duplicate_videos.txt')) == 5


def test_again_from_a_store(put, tool):
    """The paths in the lists are the store's, not the folder's."""
    put(*many('walk', name='{}.avi'), *many('run', name='{}.avi'))
    tool(*PREPARE, 'my', *COMMON)
    before = lists()
    tool(*PREPARE, 'my', *COMMON, '--store', 'store', '--seed', 1)
    stored = {path.replace('.avi', '.mp4'): split for path, split in before.items()}
    assert lists() == stored
    assert Path('out/videos').resolve() == Path('store').resolve()
    tool(*PREPARE, 'my', *COMMON, '--store', 'store', '--seed', 2)
    assert lists() == stored


def test_two_folders(put, tool, fails):
    """The whole name of a folder is that of its lists. Lists of other videos are kept."""
    put(*many('walk', 2), *many('run', 2))
    Path('my').rename('set_1.0')
    shutil.copytree('set_1.0', 'set_1.1')
    for name in ('set_1.0', 'set_1.1', 'set_1.1'):
        tool(*PREPARE, name, '--no-check')
        assert Path('data', name, 'videos').resolve() == Path(name).resolve()
    message = fails(*PREPARE, 'set_1.1', '--no-check', '--out', 'data/set_1.0')
    problem = f'data/set_1.0: holds the lists of {Path("set_1.0").resolve()}: choose another --out'
    assert message.startswith(f'error: {problem}, or remove data/set_1.0/videos')
    Path('set_1.0').rename('moved')
    tool(*PREPARE, 'moved', '--no-check', '--out', 'data/set_1.0')


def test_the_same_split_anywhere(put, tool):
    put(*many('walk', 10), *many('run', 10))
    tool(*PREPARE, 'my', *COMMON)
    first = lists()
    shutil.rmtree('out')
    Path('my').rename('elsewhere')
    tool(*PREPARE, 'elsewhere', *COMMON)
    assert lists() == first


def test_folders_of_sets(put, tool, capsys):
    put(*(path for s in ('train', 'Val', 'test') for c in 'ab' for path in many(f'{s}/{c}', 3)))
    shutil.copy('my/test/a/0.mp4', 'my/train/a/copy.mp4')
    tool(*PREPARE, 'my', *COMMON)
    assert lists() == {path: path.split('/')[0].lower() for path in lists()}, (
        'the copy of a test video is left out of training'
    )
    assert Counter(lists().values()) == dict(train=6, val=6, test=6)
    assert read('out/duplicate_videos.txt') == ['train/a/copy.mp4: the same as test/a/0.mp4']
    assert read('out/classes.txt') == ['a', 'b']
    assert 'taken from train' not in capsys.readouterr().out


def test_a_source_in_two_given_sets(put, tool, capsys):
    put(*many('train/a'), *many('train/b'), *many('val/a', 1), *many('val/b', 1))
    put('train/a/x_c01.mp4', 'val/a/x_c02.mp4')
    tool(*PREPARE, 'my', *COMMON)
    leak = 'warning: in several sets: 1 source(s), such as train/a/x_c01.mp4 (train) and '
    assert leak in capsys.readouterr().out


def test_folders_of_only_train_and_test(put, tool, capsys):
    put(*many('train/a'), *many('train/b'), *many('test/a', 2), *many('test/b', 2))
    tool(*PREPARE, 'my', *COMMON)
    assert Counter(lists().values()) == dict(train=8, val=2, test=4)
    assert 'no val videos are named: they are taken from train' in capsys.readouterr().out
    first = lists()
    put('train/a/new.mp4')
    tool(*PREPARE, 'my', *COMMON)
    assert {path: lists()[path] for path in first} == first


@pytest.mark.parametrize(('name', 'separator'), [('t.csv', ','), ('t.csv', ';'), ('t.TSV', '\t')])
def test_a_table(put, tool, capsys, name, separator):
    put('a, "b".mp4', *many('x y', 9))
    rows = [f'x y/{i}.mp4;{2 if i % 2 else 10};;{i // 3};note' for i in range(9)]
    rows += ['"a, ""b"".mp4";10;validation;;', 'lost.mp4;2;;;', 'x y/0.mp4;10;;0;again']
    rows = [row.replace(';', separator) for row in rows]
    table(name, separator.join(['Path', 'label', 'split', 'group', 'id']), *rows)
    tool(*PREPARE, name, '--videos', 'my', *COMMON)
    found = lists()
    assert found['a, "b".mp4'] == 'val'
    for group in range(3):
        assert len({found[f'x y/{3 * group + i}.mp4'] for i in range(3)}) == 1
    assert read('out/classes.txt') == ['2', '10']
    assert read('out/missing_videos.txt') == [f'{name}, line 12: lost.mp4']
    assert read('out/duplicate_videos.txt') == [
        f'{name}, line 13: x y/0.mp4: the same as x y/0.mp4'
    ]
    printed = capsys.readouterr().out
    assert "columns that are not used: 'id'" in printed
    assert 'kept together, by the column group: 9 videos of 3 source(s), ' in printed


def test_a_table_of_paths_alone(put, tool):
    """Folders give the labels. Paths are relative to the table, or absolute."""
    put(*many('walk', 2), *many('run', 2))
    absolute = Path('my/run/1.mp4').absolute()
    table('my/t.csv', 'path', 'walk/0.mp4', './walk/1.mp4', 'run/0.mp4', str(absolute))
    tool(*PREPARE, 'my/t.csv', *COMMON)
    assert lists().keys() == {*many('walk', 2), *many('run', 2)}
    assert read('out/classes.txt') == ['run', 'walk']


def test_annotated_seconds(put, tool, fails):
    put(*many('a', 4), *many('b', 4))
    rows = ['my/a/0.mp4,0.08,0.2', 'my/a/0.mp4,0.2,', *(f'my/a/{i}.mp4,,' for i in (1, 2, 3))]
    name = table('t.csv', 'path,start,end', *rows, *(f'my/b/{i}.mp4,,' for i in range(4)))
    message = fails(*PREPARE, name, *COMMON)
    assert message.startswith('error: t.csv, line 2: start and end need a store: cut these')
    assert nothing_written()
    tool(*PREPARE, name, *COMMON, '--store', 'store', '--cut')
    found = lists()
    parts = ['my/a/0_0.080_0.200.mp4', 'my/a/0_0.200_inf.mp4']
    assert len(found) == 9
    assert found[parts[0]] == found[parts[1]]
    lengths = [len(VideoReader(Path('out/videos') / part)) for part in parts]
    assert lengths == [3, 5]


def test_training_alone(put, tool):
    put(*many('walk', 2), *many('run', 2))
    tool(*PREPARE, 'my', *COMMON)
    assert Path('out/val.txt').exists()
    shutil.rmtree('out')
    tool(*PREPARE, 'my', *COMMON, '--val', 0)
    assert set(lists().values()) == {'train'}

"""Own videos that cannot be prepared: one line, and nothing is written."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from own_folders import COMMON, PREPARE, lists, many, nothing_written, table

from r21d_plugin.datasets import preparation


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Work in an empty folder; this process checks the videos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preparation, 'parallel_map', lambda f, items, _: map(f, items))
    return tmp_path


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ('path;label\nx\0y', 'error: t.csv'),
        ('file,label\nx,a', 't.csv, line 1: the columns are file, label: path is missing'),
        ('', 't.csv, line 1: the columns are : path is missing'),
        ('path,label', 't.csv: no videos in it'),
        ('path,label,label\na,b,c', 't.csv, line 1: several columns label: leave one'),
        ('path,label\nmy/a/0.mp4', 't.csv, line 2: 1 columns, not 2'),
        ('path,label\n,a', 't.csv, line 2: no path'),
        ('path,label\nmy/a/0.mp4,', "line 2: no label: name the class of 'my/a/0.mp4'"),
        ('path\na.mp4', 'line 2: no label: name the class of'),
        ('path,label\nmy/a/0.mp4,"a\nb"', "line 3: the label 'a\\nb' has a line break"),
        ('path,label\n../a.mp4,a', "line 2: '../a.mp4' is not below .: give --videos"),
        ('path,label,split\nmy/a/0.mp4,a,dev', "line 2: split 'dev': use train, val or test"),
        ('path,label,start\nmy/a/0.mp4,a,x', "line 2: start 'x' and end '': give seconds"),
        ('path,label,start,end\nmy/a/0.mp4,a,2,1', "line 2: start '2' and end '1': give seconds"),
        ('path,label,start,end\nmy/a/0.mp4,a,0,nan', "start '0' and end 'nan': give seconds"),
        ('path,label\n"my/a/0.mp4,a', 't.csv, line 2: unexpected end of data'),
        (
            'path,label\na/0.mp4,a\nb/0.mp4,b',
            "none of its 2 videos is in ., such as 'a/0.mp4': name",
        ),
        ('path,label\nmy/a/0.mp4,a\nmy/b/0.mp4,a', "t.csv: one class, 'a': give a folder with"),
        (
            'path,label\nmy/a/0.mp4,a\nmy/b/0.mp4,b\nmy/a/0.mp4,b',
            "my/a/0.mp4 is labelled 'a' and 'b' (t.csv, line 2; t.csv, line 4): keep one",
        ),
        (
            'path,label,split\nmy/a/0.mp4,a,train\nmy/b/0.mp4,b,val',
            "t.csv: class 'b': all videos are in val: move videos to train",
        ),
        (
            'path,label\nmy/a/0.mp4,a\nmy/b/0.mp4,b',
            't.csv: nothing is left to validate: each class has one video, or videos of one source',
        ),
        (
            'path,label\nmy/a/0.mp4,a\nmy/b/0.mp4,b\nmy/c.mp4,c',
            "class 'c': none of its videos can be used (t.csv, line 4: my/c.mp4): repair them",
        ),
    ],
)
def test_bad_tables(put, fails, row, message):
    put('a/0.mp4', 'b/0.mp4')
    table('t.csv', row)
    assert message in fails(*PREPARE, 't.csv', *COMMON)
    assert nothing_written()


def test_a_table_in_another_encoding(fails):
    Path('t.csv').write_bytes('path,label\né.mp4,a\n'.encode('latin-1'))
    assert fails(*PREPARE, 't.csv', *COMMON) == 'error: t.csv: not a text file in UTF-8'


def test_bad_folders(put, fails):
    Path('empty').mkdir()
    assert 'empty: no videos in it (.avi' in fails(*PREPARE, 'empty', *COMMON)
    assert 'nope: no such folder: give a folder' in fails(*PREPARE, 'nope', *COMMON)
    put('walk/0.mp4', 'walk/1.mp4')
    assert "my: one class, 'walk': give a folder" in fails(*PREPARE, 'my', *COMMON)
    put('loose.mp4')
    assert 'my/loose.mp4: is in no class folder' in fails(*PREPARE, 'my', *COMMON)
    Path('my/loose.mp4').unlink()
    put('train/x/0.mp4')
    message = fails(*PREPARE, 'my', *COMMON)
    assert 'my/walk/' in message
    assert 'is beside folders named train, val or test, and in none of them: move it' in message
    shutil.rmtree('my/train')
    Path('my/train').mkdir()
    shutil.copy('my/walk/0.mp4', 'my/train/2.mp4')
    message = fails(*PREPARE, 'my', *COMMON)
    same = "my: train/2.mp4 and walk/0.mp4 are the same video, labelled 'train' and 'walk'"
    assert same in message, 'a class may be called train'
    message = fails(*PREPARE, 'my', '--videos', 'my', *COMMON)
    assert '--videos=my: it goes with a CSV or TSV file' in message
    assert nothing_written()


def test_links(put, tool, fails):
    """Links to videos are read, and a class that is a link is not overlooked."""
    put(*many('walk'), *many('.hidden'))
    Path('my/run').mkdir()
    for name in os.listdir('my/.hidden'):
        Path('my/run', name).symlink_to(Path('my/.hidden', name).absolute())
    tool(*PREPARE, 'my', *COMMON)
    assert Counter(path.split('/')[0] for path in lists()) == dict(walk=5, run=5)
    Path('my/jump').symlink_to(Path('my/.hidden').absolute())
    message = fails(*PREPARE, 'my', *COMMON)
    assert 'my/jump: links to folders are not followed: move the folder there, or name' in message


def test_a_class_whose_videos_are_all_broken(put, fails):
    put(*many('walk'), *many('run'))
    Path('my/sit').mkdir()
    Path('my/sit/0.mp4').write_text('no video')
    message = fails(*PREPARE, 'my', *COMMON)
    why = 'none of its videos can be used (sit/0.mp4: does not decode): repair them, or remove'
    assert f"my: class 'sit': {why}" in message
    assert not list(Path('out').glob('*.*')) or os.listdir('out') == ['.folder_videos.partial.tsv']


@pytest.mark.parametrize('out', ['/proc/there', 'file/there', 'file'])
def test_an_output_that_is_not_writable(put, fails, out):
    put(*many('walk'), *many('run'))
    Path('file').touch()
    message = fails(*PREPARE, 'my', '--out', out)
    assert message.startswith(f'error: {out}: cannot write there: ')


def test_an_output_among_the_videos(put, fails):
    put(*many('walk'), *many('run'))
    message = fails(*PREPARE, 'my', '--out', 'my/lists')
    assert message.startswith('error: my/lists: is in the folder of the videos: choose another')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--val', 1), '--val=1 and --test=0: use parts of the videos, from 0 to below 1'),
        (('--test', 'nan'), '--test=nan: use parts of the videos'),
        (('--val', -0.1), '--val=-0.1 and --test=0: use parts of the videos'),
        (('--val', 0.5, '--test', 0.5), '--val=0.5 and --test=0.5: use parts of the videos'),
        (('--clip-len', 0), '--clip-len=0: use a whole number, at least 1'),
    ],
)
def test_bad_options(put, fails, options, message):
    put(*many('walk'), *many('run'))
    assert message in fails(*PREPARE, 'my', *COMMON, *options)


def test_one_name_in_a_store(put, fails):
    put(*many('a'), *many('b'))
    shutil.move('my/a/1.mp4', 'my/a/0.avi')
    message = fails(*PREPARE, 'my', *COMMON, '--store', 'store')
    assert 'a/0.avi and a/0.mp4 would be the same file of the store, a/0.mp4: rename one' in message

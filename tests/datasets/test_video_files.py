import os

import pytest

from r21d_plugin import InputError
from r21d_plugin.datasets.video_files import by_name, find_videos


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('b.mp4', 'a.AVI', 'notes.txt', 'x/c [1].mkv', 'x/y/d.webm', 'z/none.txt'):
        path = tmp_path / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / 'videos/folder.mp4').mkdir()
    return tmp_path / 'videos'


def found(*sources):
    return [str(path) for path in find_videos(*sources)]


def test_files_folders_and_patterns(folder):
    assert found('videos') == [
        'videos/a.AVI',
        'videos/b.mp4',
        'videos/x/c [1].mkv',
        'videos/x/y/d.webm',
    ]
    assert found('videos/notes.txt') == ['videos/notes.txt'], 'who names a file means it'
    assert found('videos/x/c [1].mkv') == ['videos/x/c [1].mkv'], 'not a pattern'
    assert found('videos/?.*') == ['videos/a.AVI', 'videos/b.mp4']
    assert found('videos/x*') == ['videos/x/c [1].mkv', 'videos/x/y/d.webm']
    assert found('videos/**/d.*', 'videos/b.mp4', 'videos/?.mp4') == [
        'videos/x/y/d.webm',
        'videos/b.mp4',
    ]


@pytest.mark.parametrize('source', ['nope', 'nope/*.mp4', 'videos/*.ogv', 'videos/z'])
def test_nothing_found(folder, source):
    with pytest.raises(InputError, match=r'no such folder of videos, file|no videos in'):
        find_videos('videos/b.mp4', source)


def test_a_broken_link_is_a_video_that_is_gone(folder):
    (folder / 'gone.mp4').symlink_to('nowhere')
    assert found('videos/gone.mp4') == ['videos/gone.mp4']


def test_a_name_that_is_not_utf8(folder):
    path = folder / os.fsdecode(b'\xff.mp4')
    path.touch()
    with pytest.raises(InputError, match=r'udcff\.mp4.: its name is not UTF-8: rename it'):
        find_videos('videos')


@pytest.mark.parametrize(
    ('sources', 'names'),
    [
        (['videos'], ['a.AVI', 'b.mp4', 'x/c [1].mkv', 'x/y/d.webm']),
        (['videos/x'], ['c [1].mkv', 'y/d.webm']),
        (['videos/x/*'], ['c [1].mkv', 'y/d.webm']),
        (['videos/*/y'], ['x/y/d.webm']),
        (['videos/x/c [1].mkv'], ['c [1].mkv']),
        (['videos/x/y/d.webm', 'videos/b.mp4'], ['x/y/d.webm', 'b.mp4']),
        (['videos/b.mp4', './videos/../videos/b.mp4'], ['b.mp4']),
    ],
)
def test_names(folder, sources, names):
    assert list(by_name(find_videos(*sources), sources)) == names
    absolute = [folder.parent / source for source in sources]
    assert list(by_name(find_videos(*absolute), sources)) == names

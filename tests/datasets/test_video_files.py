import os
from pathlib import Path

import pytest
from support import ROOT

from r21d_plugin import InputError
from r21d_plugin.datasets.video_files import SUFFIXES, by_name, find_videos, read_list


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
def test_no_match(folder, source):
    with pytest.raises(InputError, match=r'no such folder of videos, file|no videos in'):
        find_videos('videos/b.mp4', source)


def test_a_broken_link_is_a_missing_video(folder):
    (folder / 'gone.mp4').symlink_to('nowhere')
    assert found('videos/gone.mp4') == ['videos/gone.mp4']


def test_a_name_that_is_not_utf8(folder):
    path = folder / os.fsdecode(b'\xff.mp4')
    path.touch()
    assert Path('videos', path.name) in find_videos('videos')
    assert find_videos(path) == find_videos(folder / '[!bf]*.mp4') == [path]
    Path('list.txt').write_bytes('\ufeffé.mp4\r\n\n'.encode() + b'\xff.mp4\n')
    assert read_list(Path('list.txt')) == [Path('é.mp4'), Path(path.name)]


@pytest.mark.parametrize('content', ['a.mp4\n'.encode('utf-16'), b'ab\0c\n', b'\xff' * 10_000])
def test_an_invalid_list(tmp_path, content):
    (tmp_path / 'list.txt').write_bytes(content)
    with pytest.raises(InputError, match=r'list\.txt, line 1: .*is it a list\?'):
        read_list(tmp_path / 'list.txt')


def test_extensions_of_videos(folder):
    videos = ['M2TS', 'VOB', '3gp', 'asf', 'divx', 'gif', 'h264', 'm2v', 'mts', 'mxf', 'ogv', 'ts']
    for suffix in [*videos, 'jpg', 'mp3', 'ogg', 'png', 'srt', 'txt', 'wav', 'webp']:
        (folder / f'z/a.{suffix}').touch()
    assert found('videos/z') == sorted(f'videos/z/a.{suffix}' for suffix in videos)


def test_the_docs_list_all_extensions():
    text = (ROOT / 'docs/videos.md').read_text('utf-8')
    assert f'`{" ".join(SUFFIXES)}`' in ' '.join(text.split())


def test_a_folder_without_videos_gives_a_short_error(folder):
    with pytest.raises(InputError) as error:
        find_videos('videos/z')
    assert str(error.value) == (
        'videos/z: no videos in it (.avi, .mkv, .mov, .mp4, .webm, ...: docs/videos.md lists all '
        'extensions)'
    )


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


def test_a_linked_folder(folder):
    """It is no silent loss of videos."""
    (folder / 'x/linked').symlink_to(folder / 'z')
    with pytest.raises(InputError, match='videos/x/linked: links to folders are not followed'):
        find_videos('videos')


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    def walk(top, onerror):
        onerror(PermissionError(13, 'Permission denied', f'{top}/x'))
        return []

    monkeypatch.setattr(os, 'walk', walk)
    with pytest.raises(InputError, match='videos/x: cannot read it: Permission denied'):
        find_videos('videos')

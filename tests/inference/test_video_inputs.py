import os
import signal
from pathlib import Path

import pytest

from r21d_plugin import InputError
from r21d_plugin.inference.video_inputs import build_pipeline, load_videos, run_pipeline

VIDEOS = [Path(name) for name in 'abcde']


def load(video):
    """Yield two items for a video; for 'b', yield one and raise an error."""
    yield video.name
    if video.name == 'b':
        raise InputError('b: does not decode')
    yield video.name * 2


def load_one(video):
    if video.name == 'b':
        raise InputError('b: does not decode')
    return [video.name]


def die(video):
    if video.name == 'c':
        os.kill(os.getpid(), signal.SIGKILL)
    return [video.name]


def defect(video):
    raise RuntimeError('a defect')


@pytest.mark.parametrize('workers', [0, 1, 3, 100])
def test_items_keep_their_order(workers):
    found = list(load_videos(load, VIDEOS, workers))
    for video in VIDEOS:
        items = [str(item) for path, item in found if path == video]
        second = 'b: does not decode' if video.name == 'b' else video.name * 2
        assert items == [video.name, second]
    found = list(load_videos(load_one, VIDEOS, workers))
    assert [path for path, _ in found] == VIDEOS
    assert isinstance(found[1][1], InputError)


def test_no_videos():
    assert list(load_videos(load, [], 2)) == []


def test_a_worker_that_dies():
    with pytest.raises(InputError, match='a worker died'):
        list(load_videos(die, VIDEOS, 2))


@pytest.mark.parametrize('workers', [0, 2])
def test_a_bug_is_not_an_input_error(workers):
    with pytest.raises(RuntimeError, match='a defect'):
        list(load_videos(defect, VIDEOS, workers))


def test_negative_workers():
    with pytest.raises(InputError, match='workers=-1'):
        list(load_videos(load, VIDEOS, -1))


def test_pipelines_that_are_not_for_videos():
    with pytest.raises(InputError, match=r'test pipeline: .*NoSuchStep'):
        build_pipeline([dict(type='NoSuchStep')])
    pipeline = build_pipeline([dict(type='RawFrameDecode')])
    message = r"a\.mp4: the test pipeline needs '\w+' of a sample, which a video file does not have"
    with pytest.raises(InputError, match=message):
        run_pipeline(pipeline, Path('a.mp4'))

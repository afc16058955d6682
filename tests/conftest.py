"""Fixtures: real video files, and the registry scope that a runner sets."""

import gc
import os
from pathlib import Path

import pytest
import torch
from forks import serve
from mmengine.config import config
from mmengine.registry import DefaultScope, init_default_scope
from support import write_video

import r21d_plugin.registry  # noqa: F401
from r21d_plugin.datasets import video_stream

os.environ['no_proxy'] = os.environ['NO_PROXY'] = '127.0.0.1,localhost'  # the tests' servers

torch.set_num_threads(1)  # the networks are tiny, and two workers share two cores

# MMEngine formats the config for each dump and checkpoint, which takes half of the time of a tiny
# run.
config.FormatCode = lambda code, **_: (code, True)


def pytest_collection_finish():
    """Exempt what is imported from garbage collection, or workers of loaders would copy it."""
    gc.freeze()


@pytest.fixture(autouse=True)
def mmaction_scope():
    """Set the registry scope, as a runner does before it builds pipelines."""
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmaction')


@pytest.fixture
def decoded_packets(monkeypatch) -> list:
    """Record the packets with pictures of all videos that this process decodes."""
    packets = []
    decode = video_stream.decode

    def note(stream, packet):
        if packet is not None and packet.size:
            packets.append(packet.pts)
        return decode(stream, packet)

    monkeypatch.setattr(video_stream, 'decode', note)
    return packets


@pytest.fixture(scope='session')
def python(tmp_path_factory) -> Path:
    """Return a stand-in for Python in which all packages are imported already."""
    with serve(tmp_path_factory.mktemp('python')) as program:
        yield program


@pytest.fixture(scope='session')
def kinetics(tmp_path_factory) -> Path:
    """Make a folder whose data/kinetics400 has six real videos in MMAction2's layout."""
    root = tmp_path_factory.mktemp('kinetics')
    data = root / 'data/kinetics400'
    lines = []
    for i in range(6):
        name = f'video {i}.mp4'  # names with spaces exist in Kinetics
        lines.append(f'{name} {i}\n')
        for split in ('train', 'val'):
            folder = data / f'videos_{split}'
            folder.mkdir(parents=True, exist_ok=True)
            write_video(folder / name, frames=12 + 5 * i, seed=i)
    for split in ('train', 'val'):
        (data / f'kinetics400_{split}_list_videos.txt').write_text(''.join(lines))
    return root


@pytest.fixture
def in_kinetics(kinetics, monkeypatch) -> Path:
    """Run in the folder of :func:`kinetics`."""
    monkeypatch.chdir(kinetics)
    return kinetics

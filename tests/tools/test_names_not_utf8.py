"""Videos whose names are not UTF-8, in every command that takes folders."""

import json
import os

import numpy as np
import pytest
from support import write_video
from untrained import CONFIGS, untrained

from r21d_plugin.datasets.decoding import all_frames
from r21d_plugin.datasets.flow_store import find_flow

ODD, SHOWN = os.fsdecode(b'\xff\xe9.mp4'), r'\xff\xe9.mp4'
BROKEN = os.fsdecode(b'sub/broken\xff.mp4')
NAMES = [ODD, 'é.mp4', 'sub/b.mp4']


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / 'videos'
    (folder / 'sub').mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        written = write_video(tmp_path / 'new.mp4', 10 + seed, seed=seed)
        written.rename(folder / name)
    (folder / BROKEN).write_text('text')
    return folder


@pytest.fixture
def network(tmp_path):
    device = ['--device', 'cpu', '--workers', 0]
    return ['--config', CONFIGS['rgb'], '--checkpoint', untrained(tmp_path), *device]


@pytest.mark.parametrize('out', ['table', 'file', '-'])
def test_predictions(videos, network, fails, tmp_path, capfd, out):
    path = tmp_path / 'out.json'
    option = dict(table=[], file=['--json', path]).get(out, ['--json', out])
    message = fails('predict.py', videos, *option, *network)
    assert message == 'error: 1 of 4 videos failed, for the reasons above'
    printed, errors = capfd.readouterr()
    assert rf'{videos}/sub/broken\xff.mp4: does not decode' in errors
    if out == 'table':
        named = [line for line in printed.splitlines() if line.startswith('/')]
    else:
        entries = json.loads(path.read_text('utf-8') if out == 'file' else printed)
        named = [entry['video'] for entry in entries if 'classes' in entry]
        assert rf'{videos}/sub/broken\xff.mp4' in [entry['video'] for entry in entries]
    assert sorted(named) == sorted(f'{videos}/{name}' for name in (SHOWN, *NAMES[1:]))


def test_drawn_copies(videos, network, tool, tmp_path):
    """Names of copies have escapes; the folder may have any name."""
    (videos / BROKEN).unlink()
    tool('predict.py', videos, '--draw', tmp_path / 'drawn', *network)
    for number, name in enumerate((SHOWN, *NAMES[1:])):
        assert len(list(all_frames(str(tmp_path / 'drawn' / name)))) == 10 + number
    odd = tmp_path / os.fsdecode(b'\xff')
    tool('predict.py', videos, '--draw', odd, *network)
    assert len([*odd.iterdir()]) == 3


@pytest.mark.parametrize('listed', [False, True])
def test_features(videos, network, tool, tmp_path, capsys, listed):
    source, out = [videos], tmp_path / os.fsdecode(b'out\xff')
    if listed:
        names = b''.join(os.fsencode(videos / name) + b'\n' for name in (*NAMES, BROKEN))
        (tmp_path / 'list.txt').write_bytes(names)
        source = ['--list', tmp_path / 'list.txt']
    for counts in ('3 computed, 0 there', '0 computed, 3 there'):
        tool('extract_features.py', *source, '--out', out, *network)
        printed = capsys.readouterr().out
        assert f'{counts} already, 1 broken: see {tmp_path}/out\\xff/broken_videos.txt' in printed
    assert all(np.load(out / f'{name}.npy').shape == (1, 64) for name in NAMES)
    (line,) = (out / 'broken_videos.txt').read_text('utf-8').splitlines()
    assert line.startswith(rf'{videos}/sub/broken\xff.mp4: does not decode')


def test_flow(videos, tool, tmp_path, capsys):
    for counts in ('3 computed, 0 there', '0 computed, 3 there'):
        tool('data/extract_flow.py', videos, tmp_path / 'flow', '--workers', 1)
        assert f'{counts} already, 1 broken' in capsys.readouterr().out
    for number, name in enumerate(NAMES):
        assert find_flow(tmp_path / 'flow', videos / name).frames == 10 + number
    (line,) = (tmp_path / 'flow/broken_videos.txt').read_text('utf-8').splitlines()
    assert line.startswith(rf'{videos}/sub/broken\xff.mp4: does not decode')

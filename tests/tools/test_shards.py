"""Processes that share the videos of a command."""

import json
import subprocess
import time

import numpy as np
import pytest
from support import ROOT, write_video
from untrained import CONFIGS, untrained

COUNT = 12


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for i in range(COUNT):
        write_video(folder / f'{i:02d}.mp4', 40, seed=i)
    return folder


@pytest.fixture
def command(tmp_path, videos):
    """Return the command that extracts features into a folder or file."""
    network = ['--config', CONFIGS['rgb'], '--checkpoint', untrained(tmp_path)]
    arguments = [*network, '--device', 'cpu', '--workers', 0, '--stride', 1, '--batch-size', 1]
    return lambda out: [ROOT / 'tools/extract_features.py', videos, '--out', out, *arguments]


def test_four_processes_one_of_them_killed(command, videos, python, tool, tmp_path, capfd):
    (videos / '07.mp4').write_bytes(b'no video')
    (videos / '10.mp4').write_bytes(b'nor this')
    out = tmp_path / 'out.h5'
    parts = tmp_path / 'out.h5.parts'

    def start(index):
        words = [python, *command(out), '--shard', f'{index}/4']
        return subprocess.Popen([*map(str, words)], stdout=subprocess.PIPE, text=True)

    processes = [start(index) for index in range(4)]
    while not (parts / '00.mp4.json').exists():
        assert processes[0].poll() is None
        time.sleep(0.01)
    processes[0].kill()
    processes[0].communicate()  # until the pipe is closed by the last process that has it
    killed = {
        path: path.stat().st_mtime_ns
        for path in parts.glob('*.npy')
        if path.with_suffix('.json').exists()
    }
    printed = [process.communicate()[0] for process in [start(0), *processes[1:]]]
    assert [process.returncode for process in processes[1:]] == [0, 0, 0]
    assert all(path.stat().st_mtime_ns == then for path, then in killed.items())
    counts = [[*map(int, line.split(' computed, ')[0].split())] for line in printed]
    done = sum(path.name in ('00.mp4.npy', '04.mp4.npy', '08.mp4.npy') for path in killed)
    assert counts == [[3 - done], [3], [2], [2]]
    reports = {path.name: path.read_text() for path in tmp_path.glob('*.txt')}
    assert reports.keys() == {f'out.broken_videos-{index}-of-4.txt' for index in (2, 3)}
    assert '10.mp4: ' in reports['out.broken_videos-2-of-4.txt']
    assert '07.mp4: ' in reports['out.broken_videos-3-of-4.txt']
    assert not out.exists()

    tool(*command(out))
    assert '0 computed, 10 there already, 2 broken' in capfd.readouterr().out
    assert not parts.exists()
    tool(*command(tmp_path / 'one'))
    from r21d_plugin.inference.feature_files import read_features

    one, four = (dict(read_features(path)) for path in (tmp_path / 'one', out))
    assert len(four) == COUNT - 2
    assert one.keys() == four.keys()
    assert all(np.array_equal(one[name], four[name]) for name in one)


def test_torchrun_starts_a_process_a_part(command, python, tmp_path):
    run = [python, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', 2]
    words = [*map(str, [*run, *command(tmp_path / 'out')])]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    assert found.stdout.count('6 computed, 0 there already') == 2
    assert {f'shard {i}/2: 6 of 12 videos' for i in (0, 1)} <= {*found.stderr.splitlines()}
    assert len([*(tmp_path / 'out').glob('*.npy')]) == COUNT


def test_more_parts_than_videos(command, tool, tmp_path, capsys):
    tool(*command(tmp_path / 'out'), '--shard', f'{COUNT}/{COUNT + 1}')
    printed = capsys.readouterr()
    assert '0 computed, 0 there already' in printed.out
    assert f'shard {COUNT}/{COUNT + 1}: 0 of {COUNT} videos' in printed.err


def test_flow(videos, tool, tmp_path, monkeypatch, capsys):
    (videos / '01.mp4').write_bytes(b'no video')
    arguments = ['data/extract_flow.py', videos, tmp_path / 'flow', '--workers', 1]
    tool(*arguments, '--shard', '0/2')
    assert len([*(tmp_path / 'flow').glob('*.zip')]) == 6
    monkeypatch.setenv('SLURM_PROCID', '1')
    monkeypatch.setenv('SLURM_STEP_NUM_TASKS', '2')
    tool(*arguments)
    assert '5 computed, 0 there already, 1 broken' in capsys.readouterr().out
    assert [path.name for path in (tmp_path / 'flow').glob('*.txt')] == ['broken_videos-1-of-2.txt']
    monkeypatch.undo()
    tool(*arguments)
    assert '0 computed, 11 there already, 1 broken' in capsys.readouterr().out


def test_predictions(videos, tool, tmp_path):
    network = ['--config', CONFIGS['rgb'], '--checkpoint', untrained(tmp_path), '--device', 'cpu']
    arguments = ['predict.py', videos, *network, '--workers', 0, '--json', tmp_path / 'found.json']
    parts = []
    for part in range(3):
        tool(*arguments, '--shard', f'{part}/3')
        parts += json.loads((tmp_path / f'found-{part}-of-3.json').read_text())
    assert not (tmp_path / 'found.json').exists()
    tool(*arguments)
    whole = json.loads((tmp_path / 'found.json').read_text())
    assert sorted(parts, key=lambda entry: entry['video']) == whole


@pytest.mark.parametrize('output', ['--draw', '--segments'])
def test_a_part_without_videos(videos, tool, tmp_path, output):
    network = ['--config', CONFIGS['rgb'], '--checkpoint', untrained(tmp_path), '--device', 'cpu']
    found = ['--json', tmp_path / 'found.json', output, tmp_path / 'out']
    tool('predict.py', videos, *network, '--workers', 0, *found, '--shard', f'{COUNT}/{COUNT + 1}')
    name = f'found-{COUNT}-of-{COUNT + 1}.json'
    assert json.loads((tmp_path / name).read_text()) == []

import json
import re
from importlib import import_module

import pytest
import torch
from support import ROOT, shell, write_video

from r21d_plugin.models.accelerate import has_fast_bfloat16


def test_flow(tmp_path, tool, capsys):
    video = write_video(tmp_path / 'a.mp4', frames=20)
    tool('benchmark/flow.py', video, '--clip-len', 4, '--network', 'fr2d_18', '--repeats', 1)
    out = capsys.readouterr().out
    assert out.count('| flow of') == 4
    assert 'ms for a pair of 112x112 frames' in out


@pytest.mark.parametrize('name', ['r2plus1d_18_motion', 'r2plus1d_18_twostream_motion'])
def test_training(tool, capsys, name):
    config = ROOT / f'configs/{name}.py'
    tool('benchmark/training.py', config, '--batch-size', 2, '--steps', 1, '--gpus', 4)
    rate, clips, hours, on_four = re.search(
        r'([\d.]+) clips per second.*\n([\d,]+) clips in all: ([\d.]+) hours on one, ([\d.]+) on 4',
        capsys.readouterr().out,
    ).groups()
    assert clips == '5,000'
    assert float(hours) == pytest.approx(5000 / float(rate) / 3600, abs=0.06)
    assert float(on_four) == pytest.approx(float(hours) / 4, abs=0.06)


def test_training_of_nothing(fails):
    config = ROOT / 'configs/r2plus1d_18_motion.py'
    assert '--batch-size, --steps' in fails('benchmark/training.py', config, '--steps', 0)
    assert 'nope.py: no such config' in fails('benchmark/training.py', 'nope.py')


def test_speed(python, tmp_path):
    """Bit-exact frames beside MMAction2's, as a process, with figures and a picture."""
    figures, picture = tmp_path / 'speed.json', tmp_path / 'speed.png'
    command = [python, ROOT / 'tools/benchmark/speed.py', '--only', 'resize, 10 clips']
    out = shell(*command, '--repeats', 1, '--json', figures, '--plot', picture, cwd=tmp_path)
    assert 'MMAction2' in out
    assert 'GFLOP/s in float32' in out
    (found,) = json.loads(figures.read_text())['measures'].values()
    assert found['kept']['difference'] == {'MMAction2': 0, 'ours': 0}
    assert picture.stat().st_size > 1000


def test_decoding(python, tmp_path):
    """The same frames as MMAction2's, one by one and by whole dataloaders."""
    figures = tmp_path / 'decoding.json'
    size = ['--sizes', '96x72', '--seconds', 1, '--repeats', 1, '--clips', 2]
    command = [python, ROOT / 'tools/benchmark/decoding.py', *size]
    out = shell(*command, '--json', figures, cwd=tmp_path)
    rows = [row for row in out.splitlines() if row.startswith('| 96x72')]
    assert [row.split('|')[-2].strip() for row in rows] == [*'0000', '', '']
    assert [name.split(', ', 2)[2] for name in json.loads(figures.read_text())] == [
        *('1 x 8', '10 x 8', '1 x 32', '10 x 32'),
        *('1 x 8, 1 worker', '1 x 8, 2 workers'),
    ]


def test_store(python, tmp_path):
    video = write_video(tmp_path / 'a.mp4', frames=40)
    command = [python, ROOT / 'tools/benchmark/store.py', video, '--repeats', 1]
    out = shell(*command, cwd=tmp_path)
    figures = dict(row.rsplit(maxsplit=1) for row in out.splitlines() if row[-1:].isdigit())
    assert float(figures['ratio, 10 x 8']) > 0
    assert 1 < float(figures['difference']) < 20


def test_decoding_of_nothing(fails, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools/benchmark'))
    for wrong in (['--repeats', 0], ['--seconds', 0], ['--clips', 0], ['--sizes', '340']):
        assert fails('benchmark/decoding.py', *wrong).startswith('error: ')


def test_growth(python, tmp_path):
    picture = tmp_path / 'growth.png'
    command = [python, ROOT / 'tools/benchmark/growth.py', '--only', 'batch']
    out = shell(*command, '--network', 'r2d_18', '--repeats', 1, '--plot', picture, cwd=tmp_path)
    assert out.count('| batch') == 5
    assert picture.stat().st_size > 1000


def test_gpu_where_there_is_none(fails, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools/benchmark'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert 'needs a CUDA device' in fails('benchmark/gpu.py')


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_gpu(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / 'tools/benchmark'))
    figures = tmp_path / 'gpu.json'
    size = ['--depths', 18, '--batch', 2, '--repeats', 1, '--steps', 1]
    tool('benchmark/gpu.py', *size, '--modes', 'inference', '--dtypes', 'TF32', '--json', figures)
    assert capsys.readouterr().out.count('| inference') == 4
    found = json.loads(figures.read_text())['R(2+1)D-18 inference TF32']
    assert all(found[name]['difference'] < 1e-2 for name in found if 'ours' in name)


@pytest.fixture
def contestants(monkeypatch):
    """The benchmark's contestants, without the ceiling, which takes long."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools/benchmark'))
    module = import_module('contestants')
    monkeypatch.setattr(module, 'ceiling', lambda repeats: {})
    return module


@pytest.mark.parametrize('name', ['r2plus1d_18', 'fr2d_18'])
def test_contestants_agree(name, contestants):
    threads = torch.get_num_threads()
    for kind, tolerance in (('forward', 1e-5), ('training', 1e-3)):
        measure = contestants.Measure('small', kind, name, 2, 2)
        found = contestants.run(measure, False, threads, 1, '')
        assert found['difference']['ours, float32'] < tolerance
        if has_fast_bfloat16():
            assert 0 < found['difference']['ours, bfloat16'] < 0.05
        assert found['gflop'] > 0


def test_compiled_contestants_agree(contestants):
    measure = contestants.Measure('small', 'compiled', 'r2d_18', 1, 8)
    found = contestants.run(measure, False, torch.get_num_threads(), 1, '')
    assert list(found['difference'])[:2] == ['PyTorch 3D, compiled', 'ours, float32']
    assert found['difference']['ours, float32'] < 1e-5

import json
import re
from importlib import import_module

import pytest
import torch
from support import ROOT, shell, write_video

from r21d_plugin.models.accelerate import has_fast_bfloat16

pytestmark = pytest.mark.slow


def test_flow(tmp_path, tool, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools/benchmark'))
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


def test_bad_arguments_of_the_training_benchmark(fails):
    config = ROOT / 'configs/r2plus1d_18_motion.py'
    assert '--batch-size, --steps' in fails('benchmark/training.py', config, '--steps', 0)
    assert 'nope.py: no such config' in fails('benchmark/training.py', 'nope.py')


def test_speed(tool, tmp_path, capsys, contestants):
    """Measure in a separate process, and write a page with the table."""
    speed = import_module('speed')
    found = speed.run_worker([['small', 'training', 'r2d_18', 1, 8], 'float32', True, 1, 1, ''])
    assert found['difference']['ours'] < 1e-3
    assert 0 < found['share'] < 2
    figures, page = tmp_path / 'speed.json', tmp_path / 'page.md'
    allocators = {'as given': found, 'kept': found}
    content = dict(machine=speed.machine(1), found={'small, float32': allocators})
    figures.write_text(json.dumps(content))
    page.write_text('above\n<!-- speed -->\nold\n<!-- speed -->\nbelow\n')
    tool('benchmark/speed.py', '--read', '--figures', figures, '--page', page)
    table = capsys.readouterr().out
    assert '| small     | float32   | PyTorch 3D |' in table
    assert page.read_text() == f'above\n<!-- speed -->\n\n{table}\n<!-- speed -->\nbelow\n'


def test_speed_per_multiplication(contestants):
    task = [['x', 'equal work', 'r2plus1d_34', 1, 8], 'float32', True, 1, 1, '']
    found = import_module('speed').run_worker(task)
    assert 'ours' in found['seconds']


@pytest.mark.parametrize(
    ('peer', 'verdict'),
    [([1.9, 2.0, 2.1], 'ok'), ([1.5, 1.6, 1.7], 'fell'), ([1.1, 1.6, 2.1], 'ok')],
    ids=['as before', 'slower', 'noise'],
)
def test_check(tool, tmp_path, capsys, contestants, peer, verdict):
    """The exit status is 1 if a ratio drops by more than the range of the turns."""
    figures, ratios = tmp_path / 'speed.json', tmp_path / 'ratios.json'
    this = dict(processor='this', instructions='AVX2')
    result = dict(seconds={'peer': peer, 'ours': [1, 1, 1]})
    figures.write_text(json.dumps(dict(machine=this, found={'a, float32': dict(kept=result)})))
    before = {'a, float32, peer': 2.0, 'b, float32, peer': 1.0}
    ratios.write_text(json.dumps(dict(machine=dict(this, processor='other'), ratios=before)))
    arguments = ['benchmark/check.py', '--figures', figures, '--ratios', ratios]
    if verdict == 'fell':
        with pytest.raises(SystemExit) as stop:
            tool(*arguments)
        assert stop.value.code == 1
    else:
        tool(*arguments)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == 'processor: committed for other, this is this'
    assert second.startswith('a, float32, peer: 2.00 -> ')
    assert second.endswith(verdict)
    assert third == 'b, float32, peer: not measured'
    tool(*arguments, '--write')
    written = json.loads(ratios.read_text())
    assert written == dict(machine=this, ratios={'a, float32, peer': peer[1]})


def test_decoding(python, tmp_path):
    """The frames equal those of MMAction2, one by one and through whole dataloaders."""
    size = ['--sizes', '96x72', '--seconds', 1, '--repeats', 1, '--clips', 2]
    command = [python, ROOT / 'tools/benchmark/decoding.py', *size]
    out = shell(*command, cwd=tmp_path)
    rows = [row for row in out.splitlines() if row.startswith('| 96x72')]
    assert [row.split('|')[-2].strip() for row in rows] == [*'0000', '', '']
    assert [row.split('|')[2].strip() for row in rows] == [
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


def test_bad_arguments_of_the_decoding_benchmark(fails, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools/benchmark'))
    for wrong in (['--repeats', 0], ['--seconds', 0], ['--clips', 0], ['--sizes', '340']):
        assert fails('benchmark/decoding.py', *wrong).startswith('error: ')


def test_a_missing_gpu(fails, monkeypatch):
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
    """Import the benchmark's contestants, without the slow measurement of the ceiling."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools/benchmark'))
    module = import_module('contestants')
    monkeypatch.setattr(module, 'ceiling', lambda *_: 1.0)
    return module


DTYPES = ['float32', 'bfloat16'] if has_fast_bfloat16() else ['float32']


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('name', ['r2plus1d_18', 'fr2d_18'])
def test_contestants_agree(name, dtype, contestants):
    measure = contestants.Measure('small', 'training', name, 2, 2)
    found = contestants.run(measure, dtype, False, torch.get_num_threads(), 1, '')
    if ('training', dtype) != contestants.WRONG:
        assert 0 <= found['difference']['ours'] < (0.05 if dtype == 'bfloat16' else 1e-3)
    assert found['share'] > 0


def test_runtimes_agree(contestants):
    """The peer's network gives equal results compiled and in each installed runtime."""
    measure = contestants.Measure('small', 'forward', 'r2d_18', 1, 8)
    found = contestants.run(measure, 'float32', False, torch.get_num_threads(), 1, '')
    names = list(found['difference'])
    assert names[:3] == [f'PyTorch 3D{how}' for how in ('', ', compiled', ', ONNX Runtime')]
    assert names[-1] == 'ours'
    assert max(found['difference'].values()) < 1e-5


def test_a_test_agrees(contestants, tmp_path):
    video = write_video(tmp_path / 'a.mp4', frames=20)
    measure = contestants.Measure('small', 'test', 'r2plus1d_18', 1, 2)
    for dtype in DTYPES:
        found = contestants.run(measure, dtype, False, torch.get_num_threads(), 1, str(video))
        assert found['difference']['ours'] < (1e-2 if dtype == 'bfloat16' else 1e-5)
        assert found['share'] is None

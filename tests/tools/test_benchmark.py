import re

import pytest
from support import ROOT, write_video


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

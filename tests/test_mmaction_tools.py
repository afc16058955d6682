"""MMAction2's own tools on our unchanged configs, if its wheel has the tools."""

import pickle
import runpy
import sys
from pathlib import Path

import mmaction
import pytest
import torch
from support import ROOT, shell
from untrained import CONFIGS, untrained, write_videos

TOOLS = Path(mmaction.__file__).parent / '.mim/tools'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TOOLS.is_dir(), reason='MMAction2 without its tools'),
]

CONFIG = """
_base_ = '{config}'
videos = dict(ann_file='{folder}/list.txt', data_prefix=dict(video='{folder}/videos'))
train_dataloader = dict(dataset=videos)
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=videos)
work_dir = '{folder}/work'
"""


@pytest.fixture
def tool(monkeypatch):
    """Run one of MMAction2's tools in this process."""

    def run(script, *arguments):
        monkeypatch.setattr(sys, 'argv', [script, *map(str, arguments)])
        runpy.run_path(str(TOOLS / script), run_name='__main__')

    return run


@pytest.fixture
def config(tmp_path):
    """Write a config with the paths of three videos, one in a folder and one with a space."""
    frames = write_videos(tmp_path / 'videos')
    (tmp_path / 'list.txt').write_text(''.join(f'{name} {i}\n' for i, name in enumerate(frames)))
    path = tmp_path / 'r2plus1d_18_motion_here.py'
    path.write_text(CONFIG.format(config=CONFIGS['rgb'], folder=tmp_path))
    return path


def test_check_videos(config, tmp_path):
    (tmp_path / 'videos/a b.mp4').write_bytes(b'broken')
    command = [sys.executable, TOOLS / 'analysis_tools/check_videos.py', config]
    out = ['--nproc', '1', '--output-file', tmp_path / 'broken.txt']
    assert 'Checked 3 videos, 1 are corrupted' in shell(*command, *out, cwd=ROOT)
    assert (tmp_path / 'broken.txt').read_text() == f'{tmp_path}/videos/a b.mp4\n'


def test_get_flops(tool, config, capsys):
    tool('analysis_tools/get_flops.py', config, '--shape', *map(str, (1, 3, 8, 48, 48)))
    assert 'Flops: ' in capsys.readouterr().out


def test_confusion_matrix(config, tmp_path):
    script, out = TOOLS / 'analysis_tools/confusion_matrix.py', tmp_path / 'matrix.pkl'
    # The wheel lacks a folder, so our stand-in imports mmaction.models first.
    run = 'import r21d_plugin.registry, runpy, sys; del sys.argv[0]; '
    run += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, '-c', run, script, config, untrained(tmp_path)]
    shell(*command, '--out', out, cwd=ROOT)
    assert pickle.loads(out.read_bytes()).sum(1).tolist() == [1, 1, 1, *[0] * 7]


def test_publish_model(tool, tmp_path):
    weights = untrained(tmp_path)
    tool('deployment/publish_model.py', weights, tmp_path / 'small.pth')
    (published,) = tmp_path.glob('small_*.pth')
    assert torch.load(published).keys() == {'state_dict'}

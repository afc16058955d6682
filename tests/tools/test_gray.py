"""Networks with one and two input channels, from RGB weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support import OPTIONS, ROOT

from r21d_plugin import create_model

CONFIG = """
_base_ = {base!r}
model = dict(backbone=dict(depth=18, in_channels={channels}), data_preprocessor=dict({scale}))
load_from = 'narrow.pth'
"""
GRAY = """
def gray(pipeline):
    return [*pipeline[:-2], dict(type='r21d_plugin.ToGray'), *pipeline[-2:]]
train_dataloader = dict(dataset=dict(pipeline=gray(_base_.train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=gray(_base_.val_pipeline)))
test_dataloader = dict(dataset=dict(pipeline=gray(_base_.test_pipeline)))
"""
SCALE = 'mean=[100.0], std=[50.0]'
CPU = ['--device', 'cpu']


@pytest.fixture
def weights(in_kinetics, tmp_path, monkeypatch):
    """Work in a folder with the videos and RGB weights."""
    monkeypatch.chdir(tmp_path)
    Path('data').symlink_to(in_kinetics / 'data')
    torch.manual_seed(0)
    state = create_model('r2plus1d_18', base_channels=4).state_dict()
    torch.save(state, 'narrow.pth')
    return state['stem.0.weight']


def write_config(base: str, channels: int, scale: str, rest: str = '') -> str:
    base = str(ROOT / f'configs/{base}.py')
    Path('mine.py').write_text(CONFIG.format(base=base, channels=channels, scale=scale) + rest)
    return 'mine.py'


def train(tool, config: str) -> dict:
    steps = ['train_cfg.max_epochs=1', 'optim_wrapper.optimizer.lr=0']
    tool('train.py', config, *CPU, '--work-dir', 'work', *OPTIONS, *steps)
    return torch.load('work/epoch_1.pth', weights_only=False)['state_dict']


def test_gray(weights, tool):
    config = write_config('r2plus1d_18_kinetics', 1, SCALE, GRAY)
    state = train(tool, config)
    torch.testing.assert_close(state['backbone.stem.0.weight'], weights.sum(1, keepdim=True))
    (log,) = Path('work').glob('*/*.log')
    assert 'conv1: adapted from 3 to 1 input channels' in log.read_text()
    test = ['work/epoch_1.pth', *CPU, '--work-dir', 'work', *OPTIONS]
    tool('test.py', config, *test)
    network = ['--config', config, '--checkpoint', 'work/epoch_1.pth', *CPU, '--workers', 0]
    video = next(Path('data').rglob('*.mp4'))
    tool('predict.py', video, '--json', 'found.json', *network, *OPTIONS)
    (found,) = json.loads(Path('found.json').read_text())
    assert found['classes']


def test_flow_from_weights_of_rgb(weights, tool):
    state = train(tool, write_config('r2plus1d_34_flow_kinetics', 2, ''))
    torch.testing.assert_close(state['backbone.stem.0.weight'], weights[:, :2] * 1.5)


def test_channels_that_do_not_fit(weights, fails):
    config = write_config('r2plus1d_18_kinetics', 3, SCALE, GRAY)
    message = fails('train.py', config, *CPU, '--work-dir', 'work', *OPTIONS)
    assert 'gives imgs of 1 channels and model.backbone.in_channels=3' in message

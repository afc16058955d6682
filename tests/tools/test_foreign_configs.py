"""Training, resuming and testing with MMAction2's own configs and our backbones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from foreign_configs import AVA, RECIPES, X3D, write_recipe
from mmaction.registry import MODELS
from mmengine.config import Config
from weights.published import seed_norms

from r21d_plugin import create_model
from r21d_plugin.weights import load_checkpoint, load_state_dict_of

pytestmark = pytest.mark.slow

CPU = ['--device', 'cpu']


def losses(work_dir: Path) -> list[tuple[int, float]]:
    """Read iterations and their losses from the logs of a work dir, in order."""
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return [(line['iter'], line['loss']) for line in lines if 'loss' in line]


def result(work_dir: Path, metric: str) -> float:
    """Read what the last test in a work dir found."""
    return json.loads(max(work_dir.glob('*/*.json')).read_text())[metric]


def train_resume_and_test(recipe, tool, metric='acc/top1'):
    options, work = write_recipe(recipe), Path('work')
    unit = 'iter' if 'IterBased' in recipe.own else 'epoch'
    tool('train.py', 'mine.py', *CPU, '--work-dir', work, *options)
    begun = len(losses(work))
    assert begun
    twice = [*options, f'train_cfg.max_{unit}s=2']
    tool('train.py', 'mine.py', *CPU, '--work-dir', work, '--resume', *twice)
    assert [iteration for iteration, _ in losses(work)] == [*range(1, 2 * begun + 1)]
    assert all(math.isfinite(loss) for _, loss in losses(work))
    before, after = (load_state_dict_of(str(work / f'{unit}_{i}.pth')) for i in (1, 2))
    weights = [key for key in before if 'backbone.layer4.' in key and before[key].ndim == 5]
    assert weights
    assert not any(torch.equal(before[key], after[key]) for key in weights), 'the network learns'
    test = Path('test')
    tool('test.py', 'mine.py', work / f'{unit}_2.pth', *CPU, '--work-dir', test, *options)
    assert 0 <= result(test, metric) <= 1


@pytest.mark.parametrize('name', RECIPES)
def test_recognition(name, tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_resume_and_test(RECIPES[name], tool)


def test_detection(tool, tmp_path, monkeypatch):
    pytest.importorskip('mmdet', reason='needs MMDetection')
    pytest.importorskip('mmcv._ext', reason='needs mmcv with its compiled operators')
    monkeypatch.chdir(tmp_path)
    train_resume_and_test(AVA, tool, 'mAP/overall')


def test_a_config_without_training(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = write_recipe(X3D)
    model = MODELS.build(Config.fromfile('mine.py').model)
    torch.save(dict(state_dict=model.state_dict()), 'a.pth')
    tool('test.py', 'mine.py', 'a.pth', *CPU, '--work-dir', 'test', *options)
    assert 0 <= result(Path('test'), 'acc/top1') <= 1


@pytest.fixture
def public_weights(tmp_path):
    """Write weights of tiny width as torchvision publishes them."""
    torch.manual_seed(0)
    network = seed_norms(create_model('r2plus1d_18', 400, base_channels=4, midplanes='block'))
    torch.save(dict(network.state_dict()), tmp_path / 'public.pth')
    return network.state_dict()


@pytest.mark.parametrize('ema', [False, True])
def test_finetuning_begins_with_public_weights(ema, public_weights, tool, tmp_path, monkeypatch):
    """So does the average of EMAHook, which reads the file too."""
    monkeypatch.chdir(tmp_path)
    recipe = RECIPES['R2plus1D']
    hooks = "\ncustom_hooks = [dict(type='EMAHook')]" if ema else ''
    options = write_recipe(recipe._replace(own=recipe.own + hooks))
    finetune = [*options, 'load_from=public.pth', 'model.cls_head.num_classes=7']
    tool('train.py', 'mine.py', *CPU, '--work-dir', 'work', *finetune)
    log = next(Path('work').glob('*/*.log')).read_text()
    assert "public.pth: weights by torchvision's names, R(2+1)D-18" in log
    assert 'new: cls_head.fc_cls.bias, cls_head.fc_cls.weight; epsilon' in log
    checkpoint = load_checkpoint('work/epoch_1.pth')
    prefixes = {'state_dict': 'backbone.', 'ema_state_dict': 'module.backbone.'}
    for key in ['state_dict', 'ema_state_dict'][: 2 if ema else 1]:
        for name in ('stem.0.weight', 'layer4.1.conv2.0.3.weight'):
            change = checkpoint[key][prefixes[key] + name] - public_weights[name]
            assert change.abs().max() < 0.1, 'it began with the weights'


def test_a_head_of_another_size_is_refused_in_a_test(public_weights, fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = write_recipe(RECIPES['R2plus1D'])
    message = fails(
        'test.py', 'mine.py', 'public.pth', *CPU, *options, 'model.cls_head.num_classes=7'
    )
    assert 'public.pth: weights of another head' in message
    assert 'num_classes=400, not num_classes=7' in message

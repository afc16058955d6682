"""Configs that derive from ours and change the data: other lists, wrappers, no labels."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from support import ROOT, TINY, write_video

from r21d_plugin.cli.launch import load_config
from r21d_plugin.evaluation.scores import read_scores

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
CPU = ['--device', 'cpu']
SHARED = {**TINY, 'train_cfg.max_epochs': 1}
del SHARED['train_dataloader.sampler.epoch_size']
OPTIONS = ['--cfg-options', *(f'{key}={value}' for key, value in SHARED.items())]

OWN = f"""
_base_ = {str(CONFIG)!r}
from r21d_plugin.datasets import pipelines
data = dict(ann_file='list.txt', data_prefix=dict(video='videos'), num_classes=3)
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    clip_len=8, scale=(40, 40), crop=32, test_clips=2)
train_dataloader = dict(dataset=dict(data, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data, pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(data, pipeline=test_pipeline))
model = dict(cls_head=dict(num_classes=3))
"""

WRAPPED = """
_base_ = 'own.py'
train_set = dict(type='r21d_plugin.LabelledVideoDataset', on_error='skip', max_bad_fraction=0.5,
                 pipeline=_base_.train_pipeline, **_base_.data)
train_dataloader = dict(dataset=dict(
    _delete_=True, type='ConcatDataset', datasets=[
        dict(type='RepeatDataset', times=2, dataset=dict(
            type='ClassBalancedDataset', oversample_thr=0.5, dataset=train_set)),
        dict(train_set, on_error='raise', ann_file='good.txt')]))
test_set = dict(train_set, test_mode=True, pipeline=_base_.test_pipeline)
test_dataloader = dict(dataset=dict(
    _delete_=True, type='ConcatDataset', datasets=[test_set, dict(test_set, ann_file='good.txt')]))
val_dataloader = test_dataloader
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Make ten videos of three classes, of which one is broken, and configs for them."""
    root = tmp_path_factory.mktemp('own')
    (root / 'videos').mkdir()
    for i in range(9):
        write_video(root / f'videos/{i}.mp4', frames=10 + i, seed=i)
    (root / 'videos/9.mp4').write_text('no video')
    lines = [f'{i}.mp4 {min(i, 2)}\n' for i in range(10)]
    (root / 'list.txt').write_text(''.join(lines))
    (root / 'good.txt').write_text(''.join(lines[:4]))
    (root / 'own.py').write_text(OWN)
    (root / 'wrapped.py').write_text(WRAPPED)
    return root


@pytest.fixture(scope='module')
def checkpoint(folder) -> Path:
    """Write a random network for the configs."""
    init_default_scope('mmaction')
    model = MODELS.build(load_config(str(folder / 'own.py'), dict(SHARED)).model)
    torch.save(dict(state_dict=model.state_dict()), folder / 'random.pth')
    return folder / 'random.pth'


@pytest.fixture
def here(folder, monkeypatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def log_of(work_dir: Path) -> str:
    (path,) = work_dir.glob('*/*.log')
    return path.read_text()


def steps_of(work_dir: Path) -> list[int]:
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line['step'] for line in lines if 'loss' in line]


GOOD = ['train_dataloader.dataset.ann_file=good.txt', 'val_dataloader.dataset.ann_file=good.txt']


def test_an_epoch_has_the_data_of_a_derived_config(here, tool, tmp_path):
    """It does not inherit Kinetics' million clips."""
    tool('train.py', 'own.py', *CPU, '--work-dir', tmp_path, *OPTIONS, *GOOD)
    assert steps_of(tmp_path) == [1], 'one batch of four'


def test_wrapped_datasets(here, tool, tmp_path):
    """Through three wrappers, classes are balanced, and broken videos skipped and counted."""
    train, test = tmp_path / 'train', tmp_path / 'test'
    tool('train.py', 'wrapped.py', *CPU, '--work-dir', train, *OPTIONS)
    log = log_of(train)  # in each repetition, the videos of classes 0 and 1 come three times
    assert '[1][8/8]' in log, '2 x 14 + 4 clips in batches of four'
    assert 'videos/9.mp4: does not decode' in (train / 'skipped_train_videos.txt').read_text()
    assert re.search(r'val: skipped 1 of 14 videos read', log)

    dump = test / 'scores.pkl'
    work = ['--work-dir', test, '--dump', dump]
    tool('test.py', 'wrapped.py', train / 'epoch_1.pth', *CPU, *work, *OPTIONS)
    names = [Path(sample['filename']).name for sample in pickle.loads(dump.read_bytes())]
    assert names == [f'{i}.mp4' for i in (*range(9), *range(4))]


def test_too_many_broken_videos_in_wrapped_datasets(here, fails, tmp_path):
    limit = 'val_dataloader.dataset.datasets.0.max_bad_fraction=0.01'
    line = fails('train.py', 'wrapped.py', *CPU, '--work-dir', tmp_path, *OPTIONS, limit)
    assert '1 of 14 videos read do not decode, more than max_bad_fraction=0.01 allows' in line


def test_predict_with_wrapped_datasets(here, tool, tmp_path, checkpoint):
    out = tmp_path / 'out.json'
    (here / 'label_map_list.txt').write_text('a\nb\nc\n')
    network = ['--config', 'wrapped.py', '--checkpoint', checkpoint, '--device', 'cpu']
    tool('predict.py', 'videos/0.mp4', '--json', out, *network, '--workers', 0, *OPTIONS)
    (entry,) = json.loads(out.read_text())
    assert {found['label'] for found in entry['classes']} == {'a', 'b', 'c'}


def test_a_list_without_labels(here, tool, tmp_path, checkpoint):
    """Scores equal those of the list with labels, and no accuracy is printed."""
    (tmp_path / 'bare.txt').write_text('0.mp4\n1.mp4\n2.mp4\n3.mp4\n')
    test = ['test.py', 'own.py', checkpoint, *CPU, '--work-dir', tmp_path, '--dump']
    listed = 'test_dataloader.dataset.ann_file='
    scores = []
    for name in (tmp_path / 'bare.txt', 'good.txt'):
        dump = tmp_path / f'{Path(name).stem}.npz'
        tool(*test, dump, *OPTIONS, f'{listed}{name}')
        scores.append({video: found.clips for video, found in read_scores(dump).items()})
    assert scores[0].keys() == scores[1].keys()
    assert all((scores[0][video] == scores[1][video]).all() for video in scores[0])
    logs = [path.read_text() for path in sorted(tmp_path.glob('*/*.log'))]
    assert sum('no metrics: the videos of the annotation' in log for log in logs) == 1

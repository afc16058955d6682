"""Curves of real runs, from MMEngine's logs and in TensorBoard."""

import json
import shutil
import sys

import pytest
from matplotlib.image import imread
from support import OPTIONS, ROOT
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from r21d_plugin.evaluation.training_curves import read_curves

TOOL = 'plot_curves.py'
CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
SIX_CLASSES = [
    'model.cls_head.num_classes=6',
    *(f'{split}_dataloader.dataset.num_classes=6' for split in ('train', 'val', 'test')),
]
"""Of which a few clips are right by chance."""


def train(tool, work_dir, *arguments, options=()):
    options = [*OPTIONS, *SIX_CLASSES, *options]
    tool('train.py', CONFIG, '--device', 'cpu', '--work-dir', work_dir, *arguments, *options)


def records(work_dir):
    """The logs of all starts, line by line, read as MMEngine names them: by time."""
    paths = sorted(work_dir.glob('*/vis_data/2*.json'))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def mean_of_batches(logged, epoch):
    batches = [line['top1_acc'] for line in logged if line.get('epoch') == epoch]
    assert len(batches) == 2
    return sum(batches) / 2


@pytest.fixture
def run(in_kinetics, tool, tmp_path):
    """Two epochs; every batch is logged."""
    work_dir = tmp_path / 'runs/r2plus1d_18'
    train(tool, work_dir)
    return work_dir


def test_errors_are_those_of_whole_epochs(run):
    logged = records(run)
    curves = read_curves(run)
    assert curves.training == {e: 1 - mean_of_batches(logged, e) for e in (1, 2)}
    validated = [line for line in logged if 'video@1' in line]
    assert curves.validation == {line['step']: 1 - line['clip@1'] for line in validated}
    assert list(curves.validation) == [1, 2]

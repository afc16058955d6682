"""Curves of real runs, from MMEngine's logs and in TensorBoard."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from support import OPTIONS, ROOT, shell
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tools.plot_curves import last_errors_table, read_curves, read_runs

TOOL = 'plot_curves.py'
TRAIN = [ROOT / 'configs/r2plus1d_18_kinetics.py', '--device', 'cpu']
TENSORBOARD = f"""
_base_ = {str(TRAIN[0])!r}
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(vis_backends=vis_backends)
"""
SIX_CLASSES = [
    'model.cls_head.num_classes=6',
    *(f'{split}_dataloader.dataset.num_classes=6' for split in ('train', 'val', 'test')),
]
"""Classes; with so few, some clips are right by chance."""


@pytest.fixture(scope='module')
def trained(kinetics, python, tmp_path_factory) -> Path:
    """Train two epochs; log every batch, to TensorBoard too."""
    work_dir = tmp_path_factory.mktemp('runs') / 'first'
    config = work_dir.parent / 'tensorboard.py'
    config.write_text(TENSORBOARD)
    command = [python, ROOT / 'tools/train.py', config, *TRAIN[1:], '--work-dir', work_dir]
    shell(*command, *OPTIONS, *SIX_CLASSES, cwd=kinetics)
    return work_dir


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """Copy the run, so that it may be changed."""
    return Path(shutil.copytree(trained, tmp_path / 'first'))


def logs(work_dir):
    return sorted(work_dir.glob('*/vis_data/scalars.json'))


def records(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_errors_are_means_over_whole_epochs(trained):
    logged = records(logs(trained)[0])
    batches = {
        epoch: [line['top1_acc'] for line in logged if line.get('epoch') == epoch]
        for epoch in (1, 2)
    }
    assert [len(accuracies) for accuracies in batches.values()] == [2, 2]
    curves = read_curves(trained)
    assert curves.training == {e: 1 - sum(values) / 2 for e, values in batches.items()}
    validated = {line['step']: 1 - line['clip@1'] for line in logged if 'clip@1' in line}
    assert curves.validation == validated
    assert list(validated) == [1, 2]


def test_a_resumed_run_is_one_curve(run, in_kinetics, tool):
    """The run was stopped while it wrote the log of epoch 3, and resumed at epoch 2."""
    log = logs(run)[0]
    beyond = '{"train/clip@1": 1.0, "step": 2}\n{"clip@1": 1.0, "step": 3}\n'
    log.write_text(log.read_text() + beyond + '{"train/clip@1": 0.9, "st')
    before = read_curves(run)
    assert before.training[2] == before.validation[3] == 0
    options = [*OPTIONS, *SIX_CLASSES, 'train_cfg.max_epochs=3']
    tool('train.py', *TRAIN, '--work-dir', run, '--resume', run / 'epoch_1.pth', *options)
    later = {
        metric: {line['step']: 1 - line[metric] for line in records(logs(run)[1]) if metric in line}
        for metric in ('train/clip@1', 'clip@1')
    }
    assert list(later['train/clip@1']) == [2, 3]
    assert list(later['clip@1']) == [2, 3]
    curves = read_curves(run)
    assert curves.training == {1: before.training[1], **later['train/clip@1']}
    assert curves.validation == {1: before.validation[1], **later['clip@1']}


def test_picture_of_several_runs(run, in_kinetics, tool, tmp_path, capsys):
    """One run has no validation, and the test of another does not count."""
    other = tmp_path / 'second'
    quick = [*OPTIONS, *SIX_CLASSES]
    options = [*quick, 'train_cfg.max_epochs=1']
    tool('train.py', *TRAIN, '--no-validate', '--work-dir', other, *options)
    trained = read_curves(run)
    tool('test.py', TRAIN[0], run / 'epoch_2.pth', *TRAIN[1:], '--work-dir', run, *quick)
    assert read_curves(run) == trained
    assert read_curves(other).validation == {}

    capsys.readouterr()
    tool(TOOL, run, other, '--out', tmp_path / 'curves.png')
    runs = read_runs([run, other])
    assert list(runs) == ['first', 'second']
    table = last_errors_table(runs)
    assert capsys.readouterr().out == f'{table}\n\n{tmp_path}/curves.png\n'
    assert f'{trained.training[2]:.1%}' in table
    assert table.splitlines()[-1].split()[:2] == ['second', '1']
    assert table.endswith('-')
    one, two = colours(tmp_path / 'curves.png'), colours(alone(tool, run, tmp_path))
    assert one - two, 'a colour for the second run'


def alone(tool, run, folder):
    tool(TOOL, run, '--out', folder / 'one.png')
    return folder / 'one.png'


def colours(path):
    """Return the colours of more than 200 pixels, which are those of lines and legend."""
    pixels = (255 * imread(path)[..., :3]).astype(int).reshape(-1, 3)
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    return {tuple(colour) for colour in found[counts > 200].tolist()}


def test_bad_input(run, fails, tmp_path):
    out = tmp_path / 'curves.png'
    assert 'no finished epoch' in fails(TOOL, tmp_path / 'nope', '--out', out)
    assert 'nope/curves.png: cannot write' in fails(
        TOOL, run, '--out', tmp_path / 'nope/curves.png'
    )
    assert 'cannot write a picture' in fails(TOOL, run, '--out', tmp_path / 'curves')
    log = logs(run)[0]
    log.write_text('{"loss": 1\n' + log.read_text())
    assert 'scalars.json, line 1: not JSON' in fails(TOOL, run, '--out', out)
    log.write_text('')
    assert f'{run}: no finished epoch' in fails(TOOL, run, '--out', out)
    assert [path.name for path in tmp_path.iterdir()] == ['first']


def test_tensorboard_shows_the_logged_values(trained):
    (events,) = trained.glob('*/vis_data/events.out.tfevents.*')
    board = EventAccumulator(str(events)).Reload()
    logged = records(logs(trained)[0])
    for tag in ('loss', 'top1_acc', 'lr', 'train/clip@1', 'clip@1', 'video@1'):
        expected = {line['step']: line[tag] for line in logged if tag in line}
        shown = {event.step: event.value for event in board.Scalars(tag)}
        assert shown == pytest.approx(expected), tag

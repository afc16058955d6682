"""Resumed training follows the current config."""

import json
import logging
import math
import shutil
from types import SimpleNamespace

import pytest
from support import OPTIONS, ROOT

from r21d_plugin.cli.resume import apply_configured
from r21d_plugin.datasets import EpochSizeSampler

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
LR = 'optim_wrapper.optimizer.lr'


@pytest.fixture
def resume(in_kinetics, trained_dir, tool, tmp_path):
    """Train one more epoch; return its rate at each step, and the log."""

    def run(*options):
        work_dir = tmp_path / 'resumed'
        shutil.copytree(trained_dir, work_dir)
        for folder in work_dir.glob('*/'):
            shutil.rmtree(folder)
        last = work_dir / 'epoch_2.pth'
        words = ['--device', 'cpu', '--work-dir', work_dir, '--resume', last, *OPTIONS]
        quick = ['train_cfg.max_epochs=3', 'train_dataloader.num_workers=0']
        tool('train.py', CONFIG, '--no-validate', *words, *quick, *options)
        (scalars,) = work_dir.glob('*/vis_data/scalars.json')
        lines = map(json.loads, scalars.read_text().splitlines())
        (log,) = work_dir.glob('*/*.log')
        return [line['lr'] for line in lines if 'lr' in line], log.read_text()

    return run


# The paper's rate of 0.01 for 32 clips is 0.00125 for 4; in one process there is no warm-up.


def test_nothing_changed(resume):
    rates, log = resume()
    assert rates == [0.00125, 0.00125]
    assert 'of the config' not in log


def test_another_rate(resume):
    rates, log = resume(f'{LR}=0.02', 'optim_wrapper.optimizer.weight_decay=0.5')
    assert rates == [0.0025, 0.0025]
    assert 'resumed with lr=0.0025 of the config; ' in log
    assert 'resumed with weight_decay=0.5 of the config; ' in log


def test_another_schedule(resume):
    rates, log = resume(
        "param_scheduler=[{'type': 'MultiStepLR', 'milestones': [1], 'gamma': 0.5}]"
    )
    assert rates == [0.000625, 0.000625]
    assert 'resumed with lr=0.000625 of the config; ' in log


def test_a_schedule_of_iterations(resume):
    schedule = "{'type': 'MultiStepLR', 'milestones': [3, 5], 'gamma': 0.5, 'by_epoch': False}"
    assert resume(f'param_scheduler=[{schedule}]')[0] == [0.000625, 0.0003125]


def test_a_schedule_of_iterations_with_longer_epochs(resume):
    """Two of three epochs are over, though they had half as many steps."""
    schedule = "{'type': 'CosineAnnealingLR', 'T_max': 3, 'end': 3, 'convert_to_iter_based': True}"
    rates, _ = resume(f'param_scheduler=[{schedule}]', 'train_dataloader.batch_size=2')
    expected = [0.000625 * (1 + math.cos(math.pi * step / 12)) / 2 for step in range(8, 12)]
    assert rates == pytest.approx(expected)


def test_another_seed(resume, monkeypatch):
    """The order of the videos is that of the checkpoint's seed, like all else."""
    seeds, permutation = [], EpochSizeSampler._permutation

    def note(sampler, number):
        seeds.append(sampler.seed)
        return permutation(sampler, number)

    monkeypatch.setattr(EpochSizeSampler, '_permutation', note)
    resume('randomness.seed=5')
    assert set(seeds) == {0}


def test_another_optimizer(resume):
    with pytest.raises(SystemExit, match='resume with the same optimizer, or start over'):
        resume("optim_wrapper.optimizer={'type': 'Adam', 'lr': 0.1, '_delete_': True}")


def test_accumulated_batches_count(resume):
    assert resume('optim_wrapper.accumulative_counts=4')[0] == [0.005, 0.005]


def test_accumulated_batches_need_a_warm_up(resume):
    """From the config's rate for 32 clips, to the eightfold for 256, within ten epochs."""
    rates, _ = resume('optim_wrapper.accumulative_counts=64')
    assert rates == pytest.approx([0.01 + 0.07 * step / 19 for step in (4, 5)])


def test_a_schedule_that_depends_on_validations(caplog):
    """It cannot be computed again, so that of the checkpoint stays, and the log says so."""
    runner = SimpleNamespace(
        param_schedulers=[SimpleNamespace(need_val_args=True)],
        optim_wrapper=SimpleNamespace(param_groups=[dict(lr=0.5)]),
        logger=logging.getLogger('resumed'),
    )
    apply_configured(runner, [dict(lr=0.1)], 'epoch_1.pth')
    assert runner.optim_wrapper.param_groups == [dict(lr=0.5)]
    assert 'learning rate and schedule are those of epoch_1.pth' in caplog.text

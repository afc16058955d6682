"""Killed training resumes as if it had not been killed: bit for bit on the CPU."""

import json
import logging
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from forks import Fork
from support import OPTIONS, ROOT
from torch.utils._pytree import tree_flatten

from r21d_plugin import InputError
from r21d_plugin.engine.checkpoints import is_whole, latest_checkpoint
from r21d_plugin.weights import load_checkpoint

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
EPOCHS = 12  # the warm-up ends at 10, where the first step of the learning rate is
RUN = [
    *OPTIONS,
    f'train_cfg.max_epochs={EPOCHS}',
    'train_dataloader.num_workers=2',
    'default_hooks.checkpoint.max_keep_ckpts=2',
]


class Training:
    """Training runs in forks, one after the other."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.folder = folder
        self.log = folder / 'log'

    def start(self, work_dir: Path, *options: str, **death: int) -> Fork:
        """Start or resume a run that kills itself at a given change (see dying.py)."""
        command = [ROOT / 'tools/train.py', CONFIG, '--device', 'cpu', '--work-dir', work_dir]
        if death:
            deadly = json.dumps(dict(death, folder=str(work_dir)))
            command = [Path(__file__).with_name('dying.py'), deadly, *command]
        return Fork(self.python, [*command, '--resume', *RUN, *options], self.log, self.folder)

    def finish(self, work_dir: Path, *options: str) -> str:
        """Start or resume a run and let it end; return its output."""
        status = self.start(work_dir, *options).wait()
        out = self.log.read_text()
        assert status == 0, out[-3000:]
        return out


@pytest.fixture(scope='module')
def training(python, kinetics, tmp_path_factory) -> Training:
    folder = tmp_path_factory.mktemp('training')
    (folder / 'data').symlink_to(kinetics / 'data')
    return Training(python, folder)


@pytest.fixture(scope='module')
def unbroken(training, tmp_path_factory) -> Path:
    """Train without interruption; return the work dir."""
    work_dir = tmp_path_factory.mktemp('unbroken')
    training.finish(work_dir)
    return work_dir


def files(work_dir):
    """List the checkpoints and all files beside them, including leftovers."""
    return {path.name for path in work_dir.iterdir() if path.is_file()}


def contents(path):
    checkpoint = load_checkpoint(str(path))
    parts = ('state_dict', 'optimizer', 'param_schedulers')
    position = [checkpoint['meta'][key] for key in ('epoch', 'iter', 'seed')]
    return tree_flatten([position, *(checkpoint.get(part) for part in parts)])


def assert_same_run(work_dir, unbroken):
    """Compare checkpoints, including the best one: weights, optimizers and schedules are equal."""
    assert files(work_dir) == files(unbroken)
    for path in work_dir.glob('*.pth'):
        (leaves, spec), (expected, expected_spec) = contents(path), contents(unbroken / path.name)
        assert spec == expected_spec
        for leaf, other in zip(leaves, expected):
            same = torch.equal(leaf, other) if torch.is_tensor(leaf) else leaf == other
            assert same, path


def assert_nothing_half(work_dir):
    """Files under final names are complete, and last_checkpoint names one of them or is empty."""
    for name in files(work_dir):
        if name.endswith('.pth') and not name.startswith('.'):
            assert is_whole(work_dir / name), name
            load_checkpoint(str(work_dir / name))
    note = work_dir / 'last_checkpoint'
    if note.exists() and (noted := note.read_text()):
        assert is_whole(Path(noted))


def test_killed_at_random_moments(training, unbroken, tmp_path, fault):
    rng = random.Random(0)
    kills, runs = 0, 1
    while kills < 20:
        work_dir = tmp_path / str(runs)
        fork = training.start(work_dir)
        process = os.pidfd_open(fork.pid)  # unlike an id, never that of another process
        time.sleep(rng.uniform(0.2, 3))
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        os.close(process)
        if fork.wait() == 0:  # the run ended before the kill: continue with another run
            assert_same_run(work_dir, unbroken)
            runs += 1
            continue
        kills += 1
        with fault('kill -9 of training, at random'):
            if work_dir.exists():
                assert_nothing_half(work_dir)
    training.finish(work_dir)
    assert_same_run(work_dir, unbroken)


def test_killed_at_every_change_of_a_checkpoint(training, unbroken, tmp_path, fault):
    """Before each opening, renaming and removal, and with part of the file written."""
    deaths = [dict(number=number) for number in range(1, 12)]
    deaths += [dict(number=number, size=1000) for number in (1, 3, 5)]
    for death in deaths:
        with fault('kill -9 of training, in a checkpoint'):
            fork = training.start(tmp_path, **death)
            expected = signal.SIGXFSZ if 'size' in death else signal.SIGKILL
            assert fork.wait() == -expected, training.log.read_text()[-3000:]
            assert_nothing_half(tmp_path)
    training.finish(tmp_path)
    assert_same_run(tmp_path, unbroken)


@pytest.fixture
def work_dir(unbroken, tmp_path) -> Path:
    """Copy the work dir of the finished run."""
    copy = shutil.copytree(unbroken, tmp_path / 'copy')
    (copy / 'last_checkpoint').write_text(f'{copy}/epoch_{EPOCHS}.pth')
    return copy


@pytest.fixture
def logger():
    return logging.getLogger('test')


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize('damage', [half, flipped, Path.unlink])
def test_the_last_good_checkpoint_is_found(training, work_dir, unbroken, fault, damage):
    """The noted checkpoint is damaged or missing, and the log says so in one line."""
    with fault('last checkpoint damaged or gone'):
        last = work_dir / f'epoch_{EPOCHS}.pth'
        damage(last)
        out = training.finish(work_dir)
        good = work_dir / f'epoch_{EPOCHS - 1}.pth'
        assert f'{last} is damaged or missing: resuming from {good}\n' in out
        assert_same_run(work_dir, unbroken)


@pytest.mark.parametrize('note', [None, '', 'work_dirs/elsewhere/epoch_7.pth'])
def test_without_a_note_of_the_last_checkpoint(work_dir, logger, note, fault):
    with fault('last_checkpoint missing, empty or stale'):
        path = work_dir / 'last_checkpoint'
        path.unlink() if note is None else path.write_text(note)
        assert latest_checkpoint(str(work_dir), logger) == str(work_dir / f'epoch_{EPOCHS}.pth')


def test_all_checkpoints_damaged(work_dir, logger, tmp_path):
    for path in work_dir.glob('epoch_*.pth'):
        half(path)
    with pytest.raises(InputError, match=r'damaged or missing: epoch_\d+\.pth, epoch_\d+\.pth: '):
        latest_checkpoint(str(work_dir), logger)
    assert latest_checkpoint(str(tmp_path), logger) is None
    (tmp_path / 'last_checkpoint').touch()
    with pytest.raises(InputError, match='damaged or missing: last_checkpoint: '):
        latest_checkpoint(str(tmp_path), logger)


def test_checkpoints_within_epochs_are_refused(training, tmp_path):
    assert training.start(tmp_path, 'default_hooks.checkpoint.by_epoch=False').wait() == 1
    assert training.log.read_text().splitlines()[-1] == (
        'error: default_hooks.checkpoint.by_epoch=False: training resumes only between epochs: '
        'leave it out, and lower train_dataloader.sampler.epoch_size to save more often'
    )

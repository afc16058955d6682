"""Programs that users start: mim in a checkout, launchers, several processes."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from forks import write_script
from support import OPTIONS, ROOT, free_port, shell, stored_scores

from experiments.motion import make_dataset
from r21d_plugin import PublicWeights
from r21d_plugin.weights import load_state_dict_of

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
COMPARABLE = f"""
_base_ = {str(ROOT / 'configs/r2plus1d_18_kinetics.py')!r}
# What n processes do together equals what one does alone if nothing is drawn
# at random but the order of the videos, and batch norm is fixed.
model = dict(backbone=dict(norm_eval=True))
train_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
param_scheduler = []
"""


ROW = ROOT / 'configs/r2plus1d_34_kinetics.py'


@pytest.fixture(scope='module')
def mim(python) -> Path:
    """Return a mim script that starts in a process in which all packages are imported."""
    return write_script(python, 'mim', 'mim.cli', 'cli')


@pytest.fixture(scope='module')
def path(mim) -> str:
    """Return a PATH that begins with mim and its Python."""
    return f'{mim.parent}:{os.environ["PATH"]}'


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> Path:
    """Write a config whose result is independent of the number of processes."""
    path = tmp_path_factory.mktemp('config') / 'comparable.py'
    path.write_text(COMPARABLE)
    return path


def test_mim_finds_an_editable_install(kinetics, mim):
    """The environment of these tests has one."""
    out = shell(mim, 'run', 'r21d_plugin', 'complexity', 'fr2d_18', cwd=kinetics)
    assert '11,381,712' in out


def test_mim_searches(kinetics, mim):
    """The search finds every config that has public weights."""
    row = shell(mim, 'search', 'r21d_plugin', '--config', ROW.stem, cwd=kinetics)
    assert '72.4' in row
    assert 'r2plus1d_34' in row
    out = shell(mim, 'search', 'r21d_plugin', '--field', 'config', cwd=kinetics)
    for config in {weights.value.config for weights in PublicWeights} - {None}:
        assert f'configs/{config}.py' in out


def test_mim_gridsearch(kinetics, mim, tmp_path):
    """It trains a flattened copy of the config."""
    options = ['--gpus', 0, '--work-dir', tmp_path, '--search-args']
    search = '--optim_wrapper.optimizer.lr 0.02'
    command = [mim, 'gridsearch', 'r21d_plugin', ROW.with_name('r2d_18_kinetics_16f.py')]
    out = shell(*command, *options, search, *OPTIONS, 'train_cfg.max_epochs=1', cwd=kinetics)
    assert out.count('Saving checkpoint at 1 epochs') == 1


@pytest.fixture(scope='module')
def alone(kinetics, config, python, tmp_path_factory) -> Path:
    """Train and test in a single process; return the work dir."""
    work_dir = tmp_path_factory.mktemp('alone')
    train(kinetics, work_dir, [python, ROOT / 'tools/train.py', config])
    command = [python, ROOT / 'tools/test.py', config, work_dir / 'epoch_2.pth']
    evaluate(kinetics, work_dir, command)
    return work_dir


def train(kinetics, work_dir, command, batch_size=4, **env):
    shell(
        *command,
        '--device',
        'cpu',
        '--work-dir',
        work_dir,
        *OPTIONS,
        f'train_dataloader.batch_size={batch_size}',
        cwd=kinetics,
        **env,
    )


def evaluate(kinetics, work_dir, command, **env):
    shell(
        *command,
        '--device',
        'cpu',
        '--work-dir',
        work_dir / 'test',
        *OPTIONS,
        cwd=kinetics,
        **env,
    )


def assert_same_training(a, b):
    a, b = (load_state_dict_of(str(x / 'epoch_2.pth')) for x in (a, b))
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=1e-4, atol=1e-6, msg=key)


def assert_same_scores(a, b):
    ours, theirs = stored_scores(a / 'test'), stored_scores(b / 'test')
    assert ours.keys() == theirs.keys()
    for name, (clips, labels) in ours.items():
        assert labels == theirs[name][1]
        np.testing.assert_allclose(clips, theirs[name][0], rtol=1e-4, atol=1e-7)


def test_two_gloo_processes_equal_one(kinetics, config, alone, path, tmp_path):
    """Epochs of 8 clips in steps of 4: one process with 4 clips, or two with 2 each."""
    mim = [BIN / 'mim', 'train', 'r21d_plugin', config, '--launcher', 'pytorch', '--gpus', '2']
    train(kinetics, tmp_path, mim, batch_size=2)
    assert_same_training(alone, tmp_path)
    dist_test = ['bash', ROOT / 'tools/dist_test.sh', config, alone / 'epoch_2.pth', 2]
    env = dict(PATH=path, PORT=str(free_port()))
    evaluate(kinetics, tmp_path, dist_test, **env)
    assert_same_scores(alone, tmp_path)


PRINTER = """
import os, sys
line = ['rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'], *sys.argv[1:]]
os.write(1, (' '.join(line) + chr(10)).encode())  # in one piece: two processes write
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize('status', [0, 3])
def test_a_process_for_each_gpu(python, tmp_path, status):
    """--gpus 2 starts these, here with a script that needs no GPU."""
    (tmp_path / 'printer.py').write_text(PRINTER)
    code = f"""
import sys
from r21d_plugin.cli import launch
sys.argv = ['printer.py', '{status}']
print('status', launch.run_on_gpus(2))
"""
    (tmp_path / 'launch_two.py').write_text(code)
    out = shell(python, tmp_path / 'launch_two.py', cwd=tmp_path)
    for rank in (0, 1):
        assert status or f'rank {rank} of 2 {status} --launcher pytorch' in out
    assert f'status {int(status > 0)}' in out
    assert 'Traceback' not in out


SRUN = """#!{python}
import os, subprocess, sys

args = sys.argv[1:]
command = args[next(i for i, a in enumerate(args) if os.path.basename(a).startswith('python')):]
tasks = int(next(a for a in args if a.startswith('--ntasks=')).split('=')[1])
jobs = []
for i in range(tasks):
    slurm = dict(SLURM_PROCID=i, SLURM_NTASKS=tasks, SLURM_LOCALID=i, SLURM_NODELIST='here')
    env = dict(os.environ, **{{key: str(value) for key, value in slurm.items()}})
    jobs.append(subprocess.Popen(command, env=env))
sys.exit(max(job.wait() for job in jobs))
"""


SLURM = {
    'script': ['bash', ROOT / 'tools/slurm_train.sh', 'partition', 'job'],
    'mim': [
        *('mim', 'train', 'r21d_plugin', '--launcher', 'slurm', '--partition', 'partition'),
        *('--gpus', 2, '--gpus-per-node', 2, '--srun-args', '--job-name=job'),
    ],
}


@pytest.mark.parametrize('command', SLURM.values(), ids=SLURM)
def test_slurm(kinetics, config, alone, python, path, tmp_path, command):
    """Stand-ins for srun and scontrol set the variables that Slurm sets."""
    programs = tmp_path / 'bin'
    programs.mkdir()
    (programs / 'srun').write_text(SRUN.format(python=python))
    (programs / 'scontrol').write_text('#!/bin/sh\necho localhost\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    env = dict(PATH=f'{programs}:{path}', GPUS='2', MASTER_PORT=str(free_port()))
    train(kinetics, tmp_path, [*command, config], batch_size=2, **env)
    assert_same_training(alone, tmp_path)


def test_two_nodes_equal_one(kinetics, config, alone, path, tmp_path):
    """dist_train.sh starts both nodes on this machine."""
    script = ['bash', ROOT / 'tools/dist_train.sh', config, 1]
    env = dict(PATH=path, PORT=str(free_port()), NNODES='2')
    env['MASTER_ADDR'] = '127.0.0.1'
    with ThreadPoolExecutor() as pool:
        nodes = [
            pool.submit(train, kinetics, tmp_path, script, 2, NODE_RANK=str(rank), **env)
            for rank in (0, 1)
        ]
    assert [node.result() for node in nodes] == [None, None]
    assert_same_training(alone, tmp_path)


SHORT = """
_base_ = {base!r}
train_dataloader = dict(num_workers=1, sampler=dict(epoch_size=16))
train_cfg = dict(max_epochs=1)
param_scheduler = []
"""


def test_demo(path, tmp_path):
    """The demo, on few videos and for one epoch: its commands and its table."""
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')
    (tmp_path / 'configs').mkdir()
    networks = ['r2plus1d_18', 'fr2d_18']
    for name in (f'{network}_motion.py' for network in networks):
        (tmp_path / 'configs' / name).write_text(SHORT.format(base=str(ROOT / 'configs' / name)))
    for _ in make_dataset(tmp_path / 'data/motion', 20, 10):
        pass
    out = shell('bash', tmp_path / 'tools/demo.sh', cwd=tmp_path, PATH=path)
    assert out.count('Epoch(train) [1]') == 2, 'the end of each epoch'
    assert out.count('Epoch(val) [1]') == 2
    table = [line.split() for line in out.partition('so chance is 10%.')[2].splitlines() if line]
    assert table[0] == ['run', 'clip@1', 'video@1', 'video@5']
    assert [row[0] for row in table[2:]] == networks
    assert all(cell.endswith('%') for row in table[2:] for cell in row[1:])
    assert (tmp_path / 'work_dirs/demo/fr2d_18/epoch_1.pth').exists()

"""What users start: mim on an installed wheel, launchers, several processes."""

import os
import shutil
import site
import stat
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from support import OPTIONS, ROOT, copy_source, shell

from experiments.motion import make_dataset
from r21d_plugin import PublicWeights
from r21d_plugin.evaluation.results import last_test
from r21d_plugin.weights import load_state_dict_of

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
def config(tmp_path_factory) -> Path:
    """A config whose result does not depend on the number of processes."""
    path = tmp_path_factory.mktemp('config') / 'comparable.py'
    path.write_text(COMPARABLE)
    return path


@pytest.fixture(scope='module')
def wheel_bin(tmp_path_factory) -> Path:
    """Scripts of an environment that has our wheel and sees our dependencies."""
    root = tmp_path_factory.mktemp('wheel')
    source = copy_source(root / 'source')
    wheel = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--quiet']
    subprocess.run([*wheel, '--wheel-dir', root, source], check=True)
    shutil.rmtree(source)

    venv.create(root / 'env', with_pip=False)
    site_packages = next((root / 'env').glob('lib/python*/site-packages'))
    shutil.unpack_archive(next(root.glob('*.whl')), site_packages, 'zip')
    # A path file's folder is not searched for path files of its own, so the
    # checkout that this environment may have installed stays out of sight.
    (site_packages / 'dependencies.pth').write_text('\n'.join(site.getsitepackages()))
    (metadata,) = site_packages.glob('r21d_plugin-*.dist-info/entry_points.txt')
    assert 'r21d = r21d_plugin.cli.main:main' in metadata.read_text()
    for name, module, function in (
        ('mim', 'mim.cli', 'cli'),
        ('r21d', 'r21d_plugin.cli.main', 'main'),
    ):
        script = root / 'env/bin' / name
        script.write_text(
            f'#!{root}/env/bin/python\nfrom {module} import {function}\n{function}()\n'
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return root / 'env/bin'


def test_mim_trains_and_tests_on_a_wheel(kinetics, wheel_bin, tmp_path):
    code = 'import r21d_plugin; print(r21d_plugin.__file__)'
    assert str(wheel_bin.parent) in shell(wheel_bin / 'python', '-c', code, cwd=kinetics)

    mim = [wheel_bin / 'mim']
    work_dir = ['--work-dir', tmp_path]
    out = shell(
        *mim,
        'train',
        'r21d_plugin',
        'configs/r2plus1d_34_flow_kinetics.py',
        '--gpus',
        '0',
        *work_dir,
        *OPTIONS,
        cwd=kinetics,
    )
    assert 'Training finished successfully.' in out
    assert str(wheel_bin.parent) in out
    out = shell(
        *mim,
        'test',
        'r21d_plugin',
        'configs/r2plus1d_34_flow_kinetics.py',
        '--checkpoint',
        tmp_path / 'epoch_2.pth',
        *work_dir,
        *OPTIONS,
        cwd=kinetics,
    )
    assert 'clip@1: ' in out
    assert 'video@5: ' in out


def test_r21d_on_a_wheel(kinetics, wheel_bin, tmp_path):
    """In a folder that is no checkout: it finds the configs of the package."""
    r21d = wheel_bin / 'r21d'
    assert not (kinetics / 'configs').exists()
    config = 'configs/r2plus1d_18_kinetics.py'
    run = ['--device', 'cpu', '--work-dir', tmp_path, *OPTIONS, 'train_cfg.max_epochs=1']
    shell(r21d, 'train', config, *run, cwd=kinetics)
    checkpoint = tmp_path / 'epoch_1.pth'
    out = shell(r21d, 'test', config, checkpoint, *run, cwd=kinetics)
    assert 'video@5: ' in out
    network = ['--config', config, '--checkpoint', checkpoint, *OPTIONS]
    out = shell(r21d, 'predict', 'data/kinetics400/videos_val/video 0.mp4', *network, cwd=kinetics)
    assert 'video 0.mp4' in out
    mim = [wheel_bin / 'mim', 'run', 'r21d_plugin']
    videos = 'data/kinetics400/videos_val'
    shell(r21d, 'features', videos, '--out', tmp_path / 'features', *network, cwd=kinetics)
    assert len(list((tmp_path / 'features').glob('*.npy'))) == 6
    shell(r21d, 'export', config, checkpoint, tmp_path / 'a.pt2', *OPTIONS, cwd=kinetics)
    assert (tmp_path / 'a.pt2').exists()
    for command in ([r21d, 'flow'], [*mim, 'extract_flow']):
        shell(*command, videos, tmp_path / 'flow', cwd=kinetics)
    for command in ([r21d], [wheel_bin / 'python', '-m', 'r21d_plugin']):
        assert 'prepare' in shell(*command, cwd=kinetics)
    assert '--annotations' in shell(r21d, 'prepare', '--help', cwd=kinetics)
    wrong = subprocess.run([r21d, 'tran'], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith('error: tran: no such command: choose from train, test, ')


def test_mim_finds_an_editable_install(kinetics):
    """The environment of these tests has one."""
    out = shell(BIN / 'mim', 'run', 'r21d_plugin', 'complexity', 'fr2d_18', cwd=kinetics)
    assert '11,381,712' in out


def test_mim_searches(kinetics):
    """Every config that there are public weights for."""
    row = shell(BIN / 'mim', 'search', 'r21d_plugin', '--config', ROW.stem, cwd=kinetics)
    assert '72.4' in row
    assert 'r2plus1d_34' in row
    out = shell(BIN / 'mim', 'search', 'r21d_plugin', '--field', 'config', cwd=kinetics)
    for config in {weights.value.config for weights in PublicWeights} - {None}:
        assert f'configs/{config}.py' in out


def test_mim_gridsearch(kinetics, tmp_path):
    """Which trains a flattened copy of the config."""
    options = ['--gpus', 0, '--work-dir', tmp_path, '--search-args']
    search = '--optim_wrapper.optimizer.lr 0.02'
    command = [BIN / 'mim', 'gridsearch', 'r21d_plugin', ROW.with_name('r2d_18_kinetics_16f.py')]
    out = shell(*command, *options, search, *OPTIONS, 'train_cfg.max_epochs=1', cwd=kinetics)
    assert out.count('Saving checkpoint at 1 epochs') == 1


@pytest.fixture(scope='module')
def alone(kinetics, config, tmp_path_factory) -> Path:
    """Work dir of a single process that trained and tested."""
    work_dir = tmp_path_factory.mktemp('alone')
    train(kinetics, work_dir, [sys.executable, ROOT / 'tools/train.py', config])
    command = [sys.executable, ROOT / 'tools/test.py', config, work_dir / 'epoch_2.pth']
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
    assert last_test(a / 'test') == last_test(b / 'test')


def test_two_gloo_processes_equal_one(kinetics, config, alone, tmp_path):
    """Epochs of 8 clips in steps of 4, by one process or by two with 2 each."""
    mim = [BIN / 'mim', 'train', 'r21d_plugin', config, '--launcher', 'pytorch', '--gpus', '2']
    train(kinetics, tmp_path, mim, batch_size=2)
    assert_same_training(alone, tmp_path)
    dist_test = ['bash', ROOT / 'tools/dist_test.sh', config, alone / 'epoch_2.pth', 2]
    env = dict(PATH=f'{BIN}:{os.environ["PATH"]}', PORT='29611')
    evaluate(kinetics, tmp_path, dist_test, **env)
    assert_same_scores(alone, tmp_path)


PRINTER = """
import os, sys
line = ['rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'], *sys.argv[1:]]
os.write(1, (' '.join(line) + chr(10)).encode())  # in one piece: two processes write
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize('status', [0, 3])
def test_a_process_for_each_gpu(tmp_path, status):
    """What --gpus 2 starts, with a script that needs no GPU."""
    (tmp_path / 'printer.py').write_text(PRINTER)
    code = f"""
import sys
from r21d_plugin.cli import launch
sys.argv = ['printer.py', '{status}']
print('status', launch.run_on_gpus(2))
"""
    out = shell(sys.executable, '-c', code, cwd=tmp_path)
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
        *(BIN / 'mim', 'train', 'r21d_plugin', '--launcher', 'slurm', '--partition', 'partition'),
        *('--gpus', 2, '--gpus-per-node', 2, '--srun-args', '--job-name=job'),
    ],
}


@pytest.mark.parametrize('command', SLURM.values(), ids=SLURM)
def test_slurm(kinetics, config, alone, tmp_path, command):
    """Through stand-ins for srun and scontrol, which set the variables that Slurm sets."""
    programs = tmp_path / 'bin'
    programs.mkdir()
    (programs / 'srun').write_text(SRUN.format(python=sys.executable))
    (programs / 'scontrol').write_text('#!/bin/sh\necho localhost\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    env = dict(PATH=f'{programs}:{BIN}:{os.environ["PATH"]}', GPUS='2', MASTER_PORT='29613')
    train(kinetics, tmp_path, [*command, config], batch_size=2, **env)
    assert_same_training(alone, tmp_path)


def test_two_nodes_equal_one(kinetics, config, alone, tmp_path):
    """As dist_train.sh starts them, both on this machine."""
    script = ['bash', ROOT / 'tools/dist_train.sh', config, 1]
    env = dict(PATH=f'{BIN}:{os.environ["PATH"]}', PORT='29615', NNODES='2')
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


def test_demo(tmp_path):
    """Its commands and its table, on few videos and for an epoch."""
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')
    (tmp_path / 'configs').mkdir()
    networks = ['r2plus1d_18', 'fr2d_18']
    for name in (f'{network}_motion.py' for network in networks):
        (tmp_path / 'configs' / name).write_text(SHORT.format(base=str(ROOT / 'configs' / name)))
    for _ in make_dataset(tmp_path / 'data/motion', 20, 10):
        pass
    path = f'{BIN}:{os.environ["PATH"]}'
    out = shell('bash', tmp_path / 'tools/demo.sh', cwd=tmp_path, PATH=path)
    table = [line.split() for line in out.partition('so chance is 10%.')[2].splitlines() if line]
    assert table[0] == ['run', 'clip@1', 'video@1', 'video@5']
    assert [row[0] for row in table[2:]] == networks
    assert all(cell.endswith('%') for row in table[2:] for cell in row[1:])
    assert (tmp_path / 'work_dirs/demo/fr2d_18/epoch_1.pth').exists()

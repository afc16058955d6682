import errno
import os
import socket
import subprocess
import sys
from importlib import import_module

import pytest
import torch
from mmengine.config import Config
from mmengine.device import get_device

from r21d_plugin import InputError
from r21d_plugin.cli import launch
from r21d_plugin.cli.errors import errors_in_one_line


@pytest.fixture
def no_launcher(monkeypatch):
    for variables in launch.PROCESS_COUNTS.values():
        for variable in variables:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')


@pytest.mark.parametrize('gpus', [1, 2, 8])
def test_more_gpus_than_available(no_launcher, monkeypatch, gpus):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus - 1)
    message = rf'{gpus} GPU\(s\) asked for and {gpus - 1} found'
    with pytest.raises(InputError, match=message), launch.processes(Config(), 'none', gpus=gpus):
        pass


def test_several_gpus_start_a_process_each(no_launcher, monkeypatch):
    started = []
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 8)
    monkeypatch.setattr('sys.argv', ['train.py', 'config.py', '--gpus', '8'])
    monkeypatch.setattr('torch.distributed.run.main', started.append)
    with pytest.raises(SystemExit) as stop, launch.processes(Config(), 'none', gpus=8):
        pytest.fail('the parent trains')
    assert stop.value.code == 0
    assert started == [
        [
            '--standalone',
            '--nproc_per_node=8',  # the only spelling in PyTorch 1.13
            'train.py',
            'config.py',
            '--gpus',
            '8',
            '--launcher',
            'pytorch',
        ]
    ]


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm', 'mpi'])
def test_a_launcher_that_did_not_start_us(no_launcher, launcher):
    message = f'--launcher {launcher} without its processes'
    with pytest.raises(InputError, match=message), launch.processes(
        Config(), launcher, device='cpu'
    ):
        pass


@pytest.mark.parametrize(('device', 'gpus'), [('cpu', None), (None, 0), (None, None)])
def test_the_cpu(no_launcher, monkeypatch, device, gpus):
    """The CPU is used even if MMEngine saw a GPU when it was imported."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cuda')
    cfg = Config()
    with launch.processes(cfg, 'none', device, gpus):
        assert cfg.launcher == 'none'
        assert get_device() == 'cpu'


def test_gpu_per_process_under_a_launcher(no_launcher, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '16')
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '8')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 4)
    message = r'8 GPU\(s\) asked for and 4 found'
    with pytest.raises(InputError, match=message), launch.processes(Config(), 'pytorch'):
        pass


def test_slurm_with_one_visible_gpu_a_task(no_launcher, monkeypatch):
    """``srun --gpus-per-task=1``."""
    joined = []
    monkeypatch.setenv('SLURM_NTASKS', '16')
    monkeypatch.setenv('SLURM_NTASKS_PER_NODE', '8')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setattr(launch, 'join_process_group', lambda *args: joined.append(args))
    with launch.processes(Config(), 'slurm'):
        assert len(joined) == 1


def test_several_gpus_on_the_cpu(no_launcher):
    message = '--gpus 2 with --device cpu: leave one out'
    with pytest.raises(InputError, match=message), launch.processes(Config(), 'none', 'cpu', 2):
        pass


def test_an_ipv6_address(no_launcher, monkeypatch):
    with socket.socket(socket.AF_INET6) as free:
        try:
            free.bind(('::1', 0))
        except OSError:
            pytest.skip('no IPv6')
        port = free.getsockname()[1]
    ranks = dict(RANK=0, LOCAL_RANK=0, WORLD_SIZE=1, LOCAL_WORLD_SIZE=1)
    for name, value in dict(ranks, MASTER_ADDR='::1', MASTER_PORT=port).items():
        monkeypatch.setenv(name, str(value))
    with launch.processes(Config(), 'pytorch', 'cpu'):
        assert torch.distributed.get_world_size() == 1


def test_a_wrapper_of_the_config_stays_on_the_cpu(monkeypatch):
    monkeypatch.setattr(launch, 'init_dist', lambda *args, **kwargs: None)
    theirs = dict(type='MMDistributedDataParallel', find_unused_parameters=True)
    cfg = Config(dict(launcher='pytorch', model_wrapper_cfg=theirs))
    launch.join_process_group(cfg, 'cpu')
    assert cfg.model_wrapper_cfg == dict(theirs, device_ids=None)


def test_errors_in_one_line(capsys):
    inside_a_worker = (
        'Caught InputError in DataLoader worker process 0.\nOriginal Traceback (most recent call '
        'last):\n  File "x.py", line 1\nr21d_plugin._errors.InputError: a.mp4: does not decode\n'
    )
    for message in ('a.mp4: does not decode', inside_a_worker):
        with pytest.raises(SystemExit) as stop, errors_in_one_line():
            raise InputError(message)
        assert stop.value.code == 'error: a.mp4: does not decode'


def test_a_part_that_an_old_pytorch_lacks():
    line = r'^error: torch\.no_such_part is not in this PyTorch: install a newer one$'
    with pytest.raises(SystemExit, match=line), errors_in_one_line():
        import_module('torch.no_such_part')


def test_a_full_disk():
    message = r'a\.txt: cannot write there: No space left on device: make'
    with pytest.raises(SystemExit, match=message), errors_in_one_line():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'a.txt')
    with pytest.raises(BrokenPipeError), errors_in_one_line():
        raise BrokenPipeError


def test_a_dead_worker_of_a_loader():
    death = 'DataLoader worker (pid 12) is killed by signal: Killed'
    with pytest.raises(SystemExit) as stop, errors_in_one_line():
        raise RuntimeError(f'{death}. ')
    assert stop.value.code.startswith(f'error: {death}, perhaps for lack of memory: lower the')
    with pytest.raises(RuntimeError, match='another'), errors_in_one_line():
        raise RuntimeError('another error')


def test_ctrl_c_gets_one_line():
    with pytest.raises(SystemExit, match='error: interrupted'), errors_in_one_line():
        raise KeyboardInterrupt


def test_defects_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), errors_in_one_line():
        _ = 1 / 0


def test_load_config(tmp_path):
    with pytest.raises(InputError, match=r'nope\.py: no such config file'):
        launch.load_config('nope.py')
    bad = tmp_path / 'bad.py'
    bad.write_text('model = dict(')
    with pytest.raises(InputError, match=r'bad\.py: SyntaxError'):
        launch.load_config(str(bad))


def test_a_config_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ('r3d_18_kinetics', 'r3d_18_kinetics.py', './configs/r3d_18_kinetics.py'):
        assert launch.find_config(path) == launch.CONFIGS / 'r3d_18_kinetics.py'
    with pytest.raises(InputError, match=r'typo/r3d_18_kinetics\.py: no such config file'):
        launch.find_config('work_dirs/typo/r3d_18_kinetics.py')


@pytest.mark.parametrize(
    'begin',
    ["launch.processes(Config(), 'none', 'cpu').__enter__()", "recognizer.use_device('cpu')"],
)
def test_only_our_scripts_keep_freed_memory(begin, no_launcher):
    code = f"""
import ctypes
calls = []
library = ctypes.CDLL
ctypes.CDLL = lambda name, *args, **kwargs: calls.append(name) or library(name, *args, **kwargs)
import r21d_plugin.engine, r21d_plugin.models, torch
from mmengine.config import Config
from r21d_plugin.cli import launch
from r21d_plugin.inference import recognizer
r21d_plugin.create_model('r2d_18', base_channels=4)(torch.randn(1, 3, 8, 32, 32))
assert None not in calls, 'no function of the C library is called'
{begin}
assert None in calls
"""
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)

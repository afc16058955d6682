"""Runs of MMEngine's runner: config, devices, processes and resumption."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mmengine.device.utils
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import init_dist
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch import distributed

from .. import _mm_fixes
from .._errors import InputError, first_line
from ..engine.checkpoints import latest_checkpoint
from ..engine.memory import keep_freed_memory

PROCESS_COUNT = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}
"""Environment variable that holds a launcher's number of processes."""

CONFIGS = Path(__file__).parents[1] / '.mim/configs'
"""The configs that the package carries."""


def load_config(path: str, options: dict | None = None) -> Config:
    """Read a config file, and repair this process for MMEngine (see :mod:`r21d_plugin._mm_fixes`).

    Args:
        path (str): The file, as :func:`find_config` takes it.
        options (dict, optional): Values to override, by dotted key. Defaults to None.

    Raises:
        InputError: If there is no such file or it cannot be read.
    """
    _mm_fixes.apply()
    file = find_config(path)
    try:
        cfg = Config.fromfile(file)
        if options:
            cfg.merge_from_dict(options)
    except Exception as error:  # a config is code: anything can go wrong in it
        raise InputError(f'{path}: {type(error).__name__}: {first_line(error)}') from error
    return cfg


def find_config(path: str) -> Path:
    """Find a config file; where there is none, the package's of the same file name, as mim does.

    Raises:
        InputError: If there is no such file.
    """
    for file in (Path(path), CONFIGS / f'{Path(path).stem}.py'):
        if file.is_file():
            return file
    raise InputError(f'{path}: no such config file')


def build_runner(cfg: Config, path: str) -> Runner:
    """Build the runner of a config.

    Raises:
        InputError: If the config names an unknown type or argument.
    """
    try:
        return Runner.from_cfg(cfg)
    except (KeyError, TypeError) as error:
        raise InputError(f'{path}: {first_line(error)}') from error


def resume(runner: Runner, checkpoint: str | None) -> None:
    """Let a run go on where it was stopped.

    Args:
        runner (Runner): The runner, before it trains.
        checkpoint (str, optional): Where to go on, or ``'auto'``: at the latest checkpoint of the
            work dir; where there is none, the run begins. None: it begins.

    Raises:
        InputError: If there are checkpoints, and all of them are damaged.
    """
    if checkpoint == 'auto':
        checkpoint = latest_checkpoint(runner.work_dir, runner.logger)
    if checkpoint is not None:
        runner._resume, runner._load_from = True, checkpoint


@contextmanager
def processes(
    cfg: Config, launcher: str, device: str | None = None, gpus: int | None = None
) -> Iterator[None]:
    """Set up the device and the distributed process group for the block.

    Without a launcher, several GPUs are used by running this very command again, once for each,
    under ``torchrun``; this process then exits with the status of the job and never enters the
    block.

    Args:
        cfg (Config): The config, which is told the launcher.
        launcher (str): ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        device (str, optional): ``'cpu'`` or ``'cuda'``. Defaults to None: the GPU, or without a
            launcher the CPU where there is none.
        gpus (int, optional): GPUs asked for without a launcher, 0 meaning the CPU. Defaults to
            None: one if there is one.

    Raises:
        InputError: If there are fewer GPUs than asked for, or the launcher did not start this
            process.
    """
    cfg.launcher = launcher
    alone = launcher == 'none'
    if not alone and PROCESS_COUNT[launcher] not in os.environ:
        raise InputError(
            f'--launcher {launcher} without its processes ({PROCESS_COUNT[launcher]} is not set): '
            'start the script through the launcher, or leave the option out'
        )
    if device is None and alone and (gpus == 0 or (gpus is None and not torch.cuda.is_available())):
        device = 'cpu'
    if device == 'cpu':
        # MMEngine takes a GPU wherever it saw one when it was imported.
        mmengine.device.utils.DEVICE = 'cpu'
        keep_freed_memory()
    else:
        wanted = (gpus or 1) if alone else local_processes()
        check_gpus(wanted)
        if alone and wanted > 1:
            sys.exit(run_on_gpus(wanted))
    if not alone:
        join_process_group(cfg, device)
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()


def choose_mixed_precision(cfg: Config) -> None:
    """Replace MMEngine's mixed precision, which needs a GPU, by bfloat16 on the CPU."""
    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper' and get_device() == 'cpu':
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            cfg.optim_wrapper.pop(key, None)
        cfg.optim_wrapper.type = 'r21d_plugin.BFloat16OptimWrapper'


def run_on_gpus(gpus: int) -> int:
    """Run this command again, once per GPU, under ``torchrun``; return the exit status."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(['--standalone', f'--nproc-per-node={gpus}', *sys.argv, '--launcher', 'pytorch'])
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:  # otherwise the process has said why
            name = signal.Signals(-failure.exitcode).name
            print(f'error: rank {rank} (process {failure.pid}) got {name}', file=sys.stderr)
        return 1
    return 0


def local_processes() -> int:
    """Number of this job's processes on this machine, as its launcher says."""
    for variable in ('LOCAL_WORLD_SIZE', 'SLURM_NTASKS_PER_NODE', 'OMPI_COMM_WORLD_LOCAL_SIZE'):
        if variable in os.environ:
            return int(os.environ[variable])
    return 1


def check_gpus(wanted: int) -> None:
    """Check that there are as many GPUs as wanted.

    Raises:
        InputError: If there are fewer.
    """
    found = torch.cuda.device_count()
    if wanted > found:
        raise InputError(
            f'{wanted} GPU(s) asked for and {found} found: '
            'ask for fewer, or run on the CPU (--gpus 0 with mim, else --device cpu)'
        )


def join_process_group(cfg: Config, device: str | None) -> None:
    """Join the processes of a job before MMEngine's runner would, which then leaves it at that."""
    env_cfg = cfg.get('env_cfg', {})
    dist_cfg = env_cfg.get('dist_cfg', {})
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    if device != 'cpu':
        init_dist(cfg.launcher, **dist_cfg)
        return
    # MMEngine 0.10.7 asks for a CUDA device in every launcher, whatever the backend, and wraps
    # the model with that device.
    set_device, torch.cuda.set_device = torch.cuda.set_device, lambda device: None
    try:
        init_dist(cfg.launcher, **{**dist_cfg, 'backend': 'gloo'})
    finally:
        torch.cuda.set_device = set_device
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False)
    )
    cfg.model_wrapper_cfg = {'type': 'MMDistributedDataParallel', **wrapper, 'device_ids': None}

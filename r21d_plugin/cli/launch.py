"""Runs of MMEngine's runner: config, devices and processes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mmengine.device.utils
import torch
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.utils.dl_utils import set_multi_processing
from torch import distributed

from .. import _mm_fixes
from .._errors import InputError, first_line
from ..engine import keep_freed_memory
from .config_check import check_config
from .config_names import CONFIGS, is_run_key, read_config
from .options import merge_options

PROCESS_COUNTS = {
    'pytorch': ('WORLD_SIZE', 'LOCAL_WORLD_SIZE'),
    'slurm': ('SLURM_NTASKS', 'SLURM_NTASKS_PER_NODE'),
    'mpi': ('OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_SIZE'),
}
"""Environment variables of a launcher: its number of processes in all and on this machine."""


def load_config(path: str, options: dict[str, Any] | None = None) -> Config:
    """Read a config, override values by dotted keys, and repair this process for MMEngine.

    See :mod:`r21d_plugin._mm_fixes`. Raises an InputError if the config cannot be read, or nothing
    reads one of its keys or options.
    """
    _mm_fixes.apply()
    file, options = find_config(path), options or {}
    try:
        cfg = read_config(file, {key: options[key] for key in options if not is_run_key(key)})
    except InputError:
        raise
    except Exception as error:  # a config is code: anything can go wrong in it
        raise InputError(f'{path}: {type(error).__name__}: {first_line(error)}') from error
    merge_options(cfg, {key: options[key] for key in options if is_run_key(key)})
    check_config(cfg, path)
    return cfg


def find_config(path: str) -> Path:
    """Find a config file; where there is none, the package's of the same file name, as mim does."""
    for file in (Path(path), CONFIGS / f'{Path(path).stem}.py'):
        if file.is_file():
            return file
    raise InputError(f'{path}: no such config file')


@contextmanager
def processes(
    cfg: Config, launcher: str, device: str | None = None, gpus: int | None = None
) -> Iterator[None]:
    """Set up the device and the distributed process group for the block.

    Without a launcher (``'none'``), ``gpus`` 0 means the CPU and None a GPU if there is one. For
    several, this very command is run again, once for each, under ``torchrun``; this process exits
    with the status of the job and never enters the block. With a launcher, None is the GPU. Raises
    an InputError if there are fewer GPUs, or the launcher did not start this process.
    """
    cfg.launcher = launcher
    alone = launcher == 'none'
    wanted = gpus or 1
    if not alone:
        count, local_count = PROCESS_COUNTS[launcher]
        if count not in os.environ:
            raise InputError(
                f'--launcher {launcher} without its processes ({count} is not set): '
                'start the script through the launcher, or leave the option out'
            )
        wanted = int(os.environ.get(local_count, '1'))
        if launcher == 'slurm' and torch.cuda.device_count() == 1:
            wanted = 1  # --gpus-per-task=1: each process sees a GPU of its own
    elif device is None and (gpus == 0 or (gpus is None and not torch.cuda.is_available())):
        device = 'cpu'
    if device == 'cpu':
        if alone and wanted > 1:
            raise InputError(
                f'--gpus {gpus} with --device cpu: leave one out; for several processes on CPUs '
                f'use torchrun --nproc-per-node {gpus} ... --launcher pytorch --device cpu'
            )
        # MMEngine takes a GPU wherever it saw one when it was imported.
        mmengine.device.utils.DEVICE = 'cpu'
        keep_freed_memory()
    else:
        if wanted > (found := torch.cuda.device_count()):
            raise InputError(
                f'{wanted} GPU(s) asked for and {found} found: '
                'ask for fewer, or run on the CPU (--gpus 0 with mim, else --device cpu)'
            )
        if alone and wanted > 1:
            sys.exit(run_on_gpus(wanted))
    if not alone:
        join_process_group(cfg, device)
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()


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


def join_process_group(cfg: Config, device: str | None) -> None:
    """Join the processes of a job before MMEngine's runner would, which then leaves it at that."""
    env_cfg = cfg.get('env_cfg', {})
    dist_cfg = env_cfg.get('dist_cfg', {})
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    # MMEngine asks for it whatever the launcher, and mpirun does not set it.
    os.environ.setdefault('LOCAL_RANK', os.environ.get('OMPI_COMM_WORLD_LOCAL_RANK', '0'))
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

"""Prepare runs of MMEngine's runner: config, devices and processes."""

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
"""Environment variables of launchers: number of processes in total and on this machine."""


def load_config(path: str, options: dict[str, Any] | None = None) -> Config:
    """Read a config, override values by dotted keys, and patch MMEngine in this process.

    See :mod:`r21d_plugin._mm_fixes` for the patches. Raises an InputError if the config cannot be
    read, or one of its keys or options has no effect.
    """
    _mm_fixes.apply()
    file, options = find_config(path), options or {}
    try:
        cfg = read_config(file, {key: options[key] for key in options if not is_run_key(key)})
    except InputError:
        raise
    except Exception as error:  # a config is code and can raise any exception
        raise InputError(f'{path}: {type(error).__name__}: {first_line(error)}') from error
    merge_options(cfg, {key: options[key] for key in options if is_run_key(key)})
    check_config(cfg, path)
    return cfg


def find_config(path: str) -> Path:
    """Find a config file by path, or else the package's config with this name, as mim does.

    The package's is found by its name alone or below ``configs``, not in any other folder.
    """
    file = Path(path)
    if file.is_file():
        return file
    packaged = CONFIGS / f'{file.stem}.py'
    if file.parent in (Path(), Path('configs')) and packaged.is_file():
        return packaged
    raise InputError(f'{path}: no such config file')


@contextmanager
def processes(
    cfg: Config, launcher: str, device: str | None = None, gpus: int | None = None
) -> Iterator[None]:
    """Context manager: set up the device and the distributed process group.

    Without a launcher (``'none'``), ``gpus=0`` means the CPU, and None means a GPU if there is one.
    For several GPUs, ``torchrun`` runs this command again, once for each; this process exits with
    the status of the job and does not enter the block. With a launcher, None means the GPU. Raises
    an InputError if there are too few GPUs, or the launcher did not start this process.
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
            wanted = 1  # --gpus-per-task=1: each process sees only its own GPU
    elif device is None and (gpus == 0 or (gpus is None and not torch.cuda.is_available())):
        device = 'cpu'
    if device == 'cpu':
        if alone and wanted > 1:
            raise InputError(
                f'--gpus {gpus} with --device cpu: leave one out; for several processes on CPUs '
                f'use torchrun --nproc_per_node {gpus} ... --launcher pytorch --device cpu'
            )
        # MMEngine uses a GPU if it saw one when it was imported.
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
        run.main(['--standalone', f'--nproc_per_node={gpus}', *sys.argv, '--launcher', 'pytorch'])
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:  # otherwise the process has printed the reason
            name = signal.Signals(-failure.exitcode).name
            print(f'error: rank {rank} (process {failure.pid}) got {name}', file=sys.stderr)
        return 1
    return 0


def join_process_group(cfg: Config, device: str | None) -> None:
    """Join the process group of a job; MMEngine's runner then does not do it again."""
    env_cfg = cfg.get('env_cfg', {})
    dist_cfg = env_cfg.get('dist_cfg', {})
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    # MMEngine requires it with any launcher, and mpirun does not set it.
    os.environ.setdefault('LOCAL_RANK', os.environ.get('OMPI_COMM_WORLD_LOCAL_RANK', '0'))
    if device != 'cpu':
        init_dist(cfg.launcher, **dist_cfg)
        return
    # MMEngine 0.10.7 requires a CUDA device with any launcher and backend, and wraps the model
    # with that device.
    set_device, torch.cuda.set_device = torch.cuda.set_device, lambda device: None
    try:
        init_dist(cfg.launcher, **{**dist_cfg, 'backend': 'gloo'})
    finally:
        torch.cuda.set_device = set_device
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False)
    )
    cfg.model_wrapper_cfg = {'type': 'MMDistributedDataParallel', **wrapper, 'device_ids': None}

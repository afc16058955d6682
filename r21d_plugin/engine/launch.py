"""Processes and devices: what tools/train.py and tools/test.py share."""

import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import mmengine.device.utils
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import all_gather_object, init_dist
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing

from .. import _mm_fixes
from .._atomic import FULL, in_words, naming_the_file
from .._errors import InputError
from ..datasets.pipelines import with_sampling, with_storage, with_stored_flow
from .checkpoints import latest_checkpoint, saved_checkpoints
from .memory import keep_freed_memory

PROCESS_COUNT = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}
"""Environment variable that holds a launcher's number of processes."""

WORKER_DEATH = re.compile(
    r'DataLoader worker \(pid(\(s\))? [\d, ]+\) (is killed by signal: [^.]+|exited unexpectedly)'
)
"""What PyTorch says of a dataloader's worker that is gone."""


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print a user's mistake, a full disk or a worker's death as one line; exit with status 1."""
    _mm_fixes.apply()
    try:
        with (
            mock.patch.object(logging.StreamHandler, 'handleError', refuse_to_lose),
            full_disks_of_threads(),
        ):
            yield
        with naming_the_file('standard output'):
            sys.stdout.flush()
    except InputError as error:
        # From a dataloader worker the message comes inside its whole traceback.
        message = str(error).rpartition('InputError: ')[-1].strip()
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = error.filename or 'a file, or standard output'
        message = f'{where}: cannot write there: {in_words(error)}'
    except RuntimeError as error:
        death = WORKER_DEATH.search(str(error))
        if death is None:
            raise
        message = (
            f'{death[0]}, perhaps for lack of memory: lower num_workers or batch_size of the '
            'dataloader; training goes on with --resume'
        )
    else:
        return
    try:
        sys.stdout.flush()
    except OSError:  # Python would try again as it ends, and exit with another status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(f'error: {message}')


def refuse_to_lose(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Handle what went wrong in logging: by default Python prints a traceback and goes on.

    Raises:
        InputError: If the log cannot be written.
    """
    error = sys.exc_info()[1]
    if isinstance(error, OSError):
        with naming_the_file(getattr(handler, 'baseFilename', 'standard output')):
            raise error
    logging.Handler.handleError(handler, record)


@contextmanager
def full_disks_of_threads() -> Iterator[None]:
    """Raise at the end of the block what a thread could not write, in place of a traceback.

    TensorBoard's thread also raises it wherever something is written next, but
    may be too late for that with the last of a run.
    """
    default, errors = threading.excepthook, []

    def keep(args: threading.ExceptHookArgs) -> None:
        if isinstance(args.exc_value, OSError) and args.exc_value.errno in FULL:
            errors.append(args.exc_value)
        else:
            default(args)

    with mock.patch.object(threading, 'excepthook', keep):
        yield
    for error in errors:
        raise error


def load_config(path: str, options: dict | None = None) -> Config:
    """Read a config file.

    Three keys that the config or an option may have change its pipelines: with
    ``flow_root`` they read the flow stored in that folder, with ``storage``
    videos from one of MMEngine's backends, and with ``test_clips`` a test
    takes so many clips of a video. With a fourth, ``tensorboard=True``, a run
    writes its log for TensorBoard too.

    Args:
        path (str): The file.
        options (dict, optional): Values to override, by dotted key.

    Raises:
        InputError: If there is no such file or it cannot be read, or TensorBoard
            is asked for and not installed.
    """
    if not Path(path).is_file():
        raise InputError(f'{path}: no such config file')
    try:
        cfg = Config.fromfile(path)
        if options:
            cfg.merge_from_dict(options)
    except Exception as error:  # a config is code: anything can go wrong in it
        raise InputError(f'{path}: {type(error).__name__}: {first_line(error)}') from error
    if (test_clips := cfg.pop('test_clips', None)) is not None:
        change_pipelines(cfg, partial(with_sampling, num_clips=test_clips), ['test'])
    if (storage := cfg.pop('storage', None)) is not None:
        change_pipelines(cfg, partial(with_storage, **storage))
    if (flow_root := cfg.pop('flow_root', None)) is not None:
        change_pipelines(cfg, partial(with_stored_flow, root=flow_root))
    if cfg.pop('tensorboard', False):
        if find_spec('tensorboard') is None:
            raise InputError("tensorboard=True: pip install 'r21d_plugin[tensorboard]'")
        # Options of MMEngine's can replace an item of a list, not add one.
        cfg.visualizer.vis_backends.append(dict(type='TensorboardVisBackend'))
    return cfg


def change_pipelines(
    cfg: Config,
    change: Callable[[list[dict]], list[dict]],
    splits: Sequence[str] = ('train', 'val', 'test'),
) -> None:
    """Change the pipelines of a config, those of its dataloaders too.

    Args:
        cfg (Config): The config.
        change (Callable): Function from a pipeline to another.
        splits (Sequence[str]): Which ones. Defaults to all.
    """
    for split in splits:
        if loader := cfg.get(f'{split}_dataloader'):
            loader.dataset.pipeline = change(loader.dataset.pipeline)
            cfg[f'{split}_pipeline'] = loader.dataset.pipeline


def build_runner(cfg: Config, path: str) -> Runner:
    """Build the runner of a config.

    Raises:
        InputError: If the config names an unknown type or argument.
    """
    try:
        return Runner.from_cfg(cfg)
    except (KeyError, TypeError) as error:
        raise InputError(f'{path}: {first_line(error)}') from error


def resume(runner: Runner, checkpoint: str | None = None) -> None:
    """Have a run go on where it was stopped.

    Processes that ``torchrun --max-restarts`` has started again go on at the
    latest checkpoint of the work dir, whatever they were asked to do.

    Args:
        runner (Runner): The runner, before it trains.
        checkpoint (str, optional): Where to go on, or ``'auto'``: at the latest
            checkpoint. Where there is none, the run begins, finetuning with its
            ``load_from``. Defaults to None: it begins.

    Raises:
        InputError: If a restart would mistake checkpoints that are there
            already for those of this run, or none of those is whole.
    """
    # Each torchrun of several nodes counts the restarts that its own processes caused.
    restarts = max(all_gather_object(int(os.environ.get('TORCHELASTIC_RESTART_COUNT', 0))))
    may_restart = int(os.environ.get('TORCHELASTIC_MAX_RESTARTS', 0)) > 0
    begins = checkpoint is None and restarts == 0
    if begins and may_restart and saved_checkpoints(runner.work_dir):
        raise InputError(
            f'{runner.work_dir}: holds checkpoints of another run, which a restart would take '
            'for its own: go on with that run (--resume), or choose another --work-dir'
        )
    path = None if checkpoint == 'auto' else checkpoint
    if restarts or checkpoint == 'auto':
        path = latest_checkpoint(runner.work_dir, runner.logger) or path
    if path is not None:
        runner._resume, runner._load_from = True, path


def first_line(error: Exception) -> str:
    """First line of an exception's message."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text.strip().split('\n')[0]


@contextmanager
def processes(
    cfg: Config, launcher: str, device: str | None = None, gpus: int | None = None
) -> Iterator[None]:
    """Be one of the job's processes, on its device, for the time of the block.

    Without a launcher, several GPUs are used by running this very command
    again, once for each, under ``torchrun``; the process that was asked to
    then exits with the status of the job and never enters the block.

    Args:
        cfg (Config): The config, which is told about the processes.
        launcher (str): ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        device (str, optional): ``'cpu'`` or ``'cuda'``. Defaults to None: the
            GPU, or without a launcher the CPU where there is none.
        gpus (int, optional): GPUs asked for without a launcher, 0 meaning the
            CPU. Defaults to None: one if there is one.

    Raises:
        InputError: If there are fewer GPUs than asked for, or a launcher is
            named that did not start this process.
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
        wanted = (gpus or 1) if alone else processes_here()
        check_gpus(wanted)
        if alone and wanted > 1:
            sys.exit(run_on_gpus(wanted))
    if not alone:
        join(cfg, device)
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def choose_mixed_precision(cfg: Config) -> None:
    """Have MMEngine's mixed precision, which needs a GPU, be bfloat16 on the CPU."""
    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper' and get_device() == 'cpu':
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            cfg.optim_wrapper.pop(key, None)
        cfg.optim_wrapper.type = 'r21d_plugin.BFloat16OptimWrapper'


def check_checkpoint(cfg: Config) -> None:
    """Check that there is something to test.

    Raises:
        InputError: If no weights are given.
    """
    if cfg.load_from is None and not cfg.model.get('checkpoints'):
        raise InputError('no checkpoint to test: name one after the config')


def run_on_gpus(gpus: int) -> int:
    """Run this command again, once per GPU, under ``torchrun``.

    Returns:
        int: Exit status.
    """
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


def processes_here() -> int:
    """Processes of this job on this machine, by its launcher."""
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


def join(cfg: Config, device: str | None) -> None:
    """Join the processes of a job.

    MMEngine's runner would do it later, which lets alone what it finds done.
    """
    env_cfg = cfg.get('env_cfg', {})
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    if device == 'cpu':
        join_on_cpu(cfg)
    else:
        init_dist(cfg.launcher, **env_cfg.get('dist_cfg', {}))


def join_on_cpu(cfg: Config) -> None:
    """Join the processes of a job that runs on CPUs, through gloo.

    MMEngine 0.10.7 chooses a CUDA device in every launcher, whatever the
    backend, and wraps the model with that device.
    """
    timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
    options = {} if timeout is None else dict(timeout=timeout)
    with mock.patch.object(torch.cuda, 'set_device'):
        init_dist(cfg.launcher, backend='gloo', **options)
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False)
    )
    cfg.model_wrapper_cfg = {'type': 'MMDistributedDataParallel', **wrapper, 'device_ids': None}

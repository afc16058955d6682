"""Distribute the videos of a command over processes and machines."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from .._compat import process_cpu_count
from .._errors import InputError

Item = TypeVar('Item')

RANKS = dict(RANK='WORLD_SIZE', SLURM_PROCID='SLURM_STEP_NUM_TASKS')
"""Variables of torchrun and srun with the number of a process in its job, and of all processes.

A batch script that srun did not start also has SLURM_PROCID.
"""

LOCAL = dict(LOCAL_RANK='LOCAL_WORLD_SIZE', SLURM_LOCALID='SLURM_NTASKS_PER_NODE')
"""The same for the processes of one machine."""


class Shard(NamedTuple):
    """A part of the videos, numbered from 0; all videos by default."""

    number: int = 0
    parts: int = 1

    def take(self, videos: Sequence[Item]) -> list[Item]:
        """Select every ``parts``-th video; print the count to standard error if not all."""
        taken = [*videos[self.number :: self.parts]]
        if self.parts > 1:
            counts = f'{len(taken)} of {len(videos)} videos'
            print(f'shard {self.number}/{self.parts}: {counts}', file=sys.stderr)
        return taken

    def name(self, path: Path) -> Path:
        """Return this part's file name: ``a-0-of-4.txt`` for ``a.txt``, if there are more parts."""
        if self.parts == 1:
            return path
        return path.with_name(f'{path.stem}-{self.number}-of-{self.parts}{path.suffix}')


def add_shard_argument(parser: ArgumentParser) -> None:
    """Add ``--shard``, which :func:`find_shard` reads."""
    parser.add_argument(
        '--shard',
        metavar='I/N',
        help='process part I of N, from 0, of the videos (default: under torchrun or srun, the '
        'part of this process, else all)',
    )


def find_shard(given: str | None) -> Shard:
    """Return the part given by ``--shard``, or else that of this process under torchrun or srun.

    Jobs of a Slurm array need ``--shard``, because they may have different videos. Raises an
    InputError if ``--shard`` is invalid.
    """
    if given is not None:
        number, _, parts = given.partition('/')
        if not (number.isdecimal() and parts.isdecimal() and int(number) < int(parts)):
            raise InputError(f'--shard {given}: use 0/4, 1/4, 2/4 or 3/4 for a part of four')
        return Shard(int(number), int(parts))
    return process_of(RANKS)


def process_of(variables: dict[str, str]) -> Shard:
    """Return the number of this process and of all processes, from the first set variables."""
    for rank, count in variables.items():
        if rank in os.environ and count in os.environ:
            return Shard(int(os.environ[rank]), int(os.environ[count]))
    return Shard()


def device_of_process(device: str | None) -> str | None:
    """Return the given device, or else this process's GPU if the machine has several."""
    import torch

    gpus = torch.cuda.device_count()
    if device is not None or gpus < 2:
        return device
    local = next((int(os.environ[name]) for name in LOCAL if name in os.environ), 0)
    return f'cuda:{local % gpus}'


def cores_of_process() -> int:
    """Return this machine's cores per process, or those to which a launcher bound this one."""
    share = (os.cpu_count() or 1) // process_of(LOCAL).parts
    return max(1, min(share, process_cpu_count()))

"""Share the videos of a command among processes and machines."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from .._errors import InputError

Item = TypeVar('Item')

RANKS = dict(RANK='WORLD_SIZE', SLURM_PROCID='SLURM_STEP_NUM_TASKS')
"""Numbers of a process among those of its job, and how many these are: torchrun's and srun's.

A batch script, which srun did not start, has a SLURM_PROCID too.
"""

LOCAL = dict(LOCAL_RANK='LOCAL_WORLD_SIZE', SLURM_LOCALID='SLURM_NTASKS_PER_NODE')
"""Likewise among those of its machine."""


class Shard(NamedTuple):
    """A part of the videos, by its number from 0; by default all."""

    number: int = 0
    parts: int = 1

    def take(self, videos: Sequence[Item]) -> list[Item]:
        """Every ``parts``-th of the videos; standard error says how many if that is not all."""
        taken = [*videos[self.number :: self.parts]]
        if self.parts > 1:
            counts = f'{len(taken)} of {len(videos)} videos'
            print(f'shard {self.number}/{self.parts}: {counts}', file=sys.stderr)
        return taken

    def name(self, path: Path) -> Path:
        """Name of this part's file: ``a-0-of-4.txt`` in place of ``a.txt``, if there are others."""
        if self.parts == 1:
            return path
        return path.with_name(f'{path.stem}-{self.number}-of-{self.parts}{path.suffix}')


def add_shard_argument(parser: ArgumentParser) -> None:
    """Add ``--shard``, which :func:`find_shard` reads."""
    parser.add_argument(
        '--shard',
        metavar='I/N',
        help='do part I of N, from 0, of the videos (that of this process under torchrun or srun, '
        'else all)',
    )


def find_shard(given: str | None) -> Shard:
    """The part that ``--shard`` names, or else that of this process under torchrun and srun.

    Jobs of a Slurm array, which may have videos of their own, need ``--shard``. Raises an
    InputError if it is none of these.
    """
    if given is not None:
        number, _, parts = given.partition('/')
        if not (number.isdecimal() and parts.isdecimal() and int(number) < int(parts)):
            raise InputError(f'--shard {given}: use 0/4, 1/4, 2/4 or 3/4 for a part of four')
        return Shard(int(number), int(parts))
    return process_of(RANKS)


def process_of(variables: dict[str, str]) -> Shard:
    """Number of this process and how many there are, by the first variables that are set."""
    for rank, count in variables.items():
        if rank in os.environ and count in os.environ:
            return Shard(int(os.environ[rank]), int(os.environ[count]))
    return Shard()


def device_of_process(device: str | None) -> str | None:
    """The device that was given, or else the GPU of this process where a machine has several."""
    import torch

    gpus = torch.cuda.device_count()
    if device is not None or gpus < 2:
        return device
    local = next((int(os.environ[name]) for name in LOCAL if name in os.environ), 0)
    return f'cuda:{local % gpus}'


def cores_of_process() -> int:
    """Cores of this machine for each process on it."""
    return max(1, (os.cpu_count() or 1) // process_of(LOCAL).parts)

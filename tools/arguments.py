"""Command line arguments that train.py and test.py share.

A module beside the scripts rather than in the package: ``mim train`` runs
``train.py -h`` first, which should not wait for torch to be imported.
"""

import argparse
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mmengine.config import DictAction


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of configs, launchers and devices."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='values of the config to override, as key.subkey=value',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='launcher'
    )
    parser.add_argument(
        '--gpus',
        type=int,
        help='GPUs of this machine to use, one process each, without a launcher; 0: the CPU; '
        'default: one GPU if there is one',
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda if there is a GPU')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line and take the local rank from it."""
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def import_launch() -> ModuleType:
    """Import what starts a run, saying in one line what is not installed."""
    try:
        from r21d_plugin.engine import launch
    except ImportError as error:
        sys.exit(f'error: {error}')
    return launch


def choose_work_dir(cfg: Any, args: argparse.Namespace) -> None:
    """Set the work dir: the argument, else the config's, else its file name's."""
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'

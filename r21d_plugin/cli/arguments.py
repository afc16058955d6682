"""Command-line arguments that several scripts share."""

import argparse
import os

from mmengine.config import DictAction


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='values of the config to override, as key.subkey=value',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a run: its config, work dir, launcher and device."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    add_config_options(parser)
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


def parse_run_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line, and export the local rank that old launchers pass as an argument."""
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a trained network and of what it runs on."""
    parser.add_argument('--config', required=True, help='config file')
    parser.add_argument('--checkpoint', required=True, help=CHECKPOINT_HELP)
    parser.add_argument('--device', help='cpu, cuda or cuda:1; default: a GPU if there is one')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes that decode (all cores)'
    )
    add_config_options(parser)


CHECKPOINT_HELP = (
    'checkpoint file or URL; none for two streams whose checkpoints are named by '
    '--cfg-options model.checkpoints.rgb=... model.checkpoints.flow=...'
)

"""Command line arguments of the scripts that apply a network to videos."""

import argparse
import os

from mmengine.config import DictAction


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the network and of what it runs on."""
    parser.add_argument('--config', required=True, help='config file')
    parser.add_argument(
        '--checkpoint',
        required=True,
        help='checkpoint file or URL; none for two streams whose checkpoints are named by '
        '--cfg-options model.checkpoints.rgb=... model.checkpoints.flow=...',
    )
    parser.add_argument('--device', help='cpu, cuda or cuda:1; default: a GPU if there is one')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes that decode (all cores)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='values of the config to override, as key.subkey=value',
    )

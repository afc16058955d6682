"""Command-line arguments that several scripts share."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from typing import Any

from .sharding import cores_of_process

CHECKPOINT_HELP = (
    'checkpoint file or URL; none for two streams whose checkpoints are named by '
    '--cfg-options model.checkpoints.rgb=... model.checkpoints.flow=...'
)


class ConfigOptions(Action):
    """Collect arguments of the form ``key.subkey=value``; values remain strings."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        """Add the arguments of one option to those of earlier options."""
        options = dict(getattr(namespace, self.dest) or {})
        for word in values:
            key, equals, value = word.partition('=')
            if not (key and equals):
                sys.exit(f'error: --cfg-options {word}: write key.subkey=value')
            options[key] = value
        setattr(namespace, self.dest, options)


class TestOption(ConfigOptions):
    """Collect ``--NAME VALUE`` as the config option ``model.test_cfg.NAME=VALUE``."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        """Add the option to earlier options."""
        name = self.option_strings[0].lstrip('-')
        super().__call__(parser, namespace, [f'model.test_cfg.{name}={values}'], option)


def add_test_options(parser: ArgumentParser) -> None:
    """Add ``--runtime`` and ``--dtype``, which override the config's ``model.test_cfg``."""
    for name, text in (
        ('runtime', 'runtime of the network: torch (default) or openvino (CPU only)'),
        (
            'dtype',
            'dtype of the computation: float32 (default), bfloat16, float16 (torch on a GPU) '
            'or int8 (openvino, with a checkpoint from r21d quantize)',
        ),
    ):
        parser.add_argument(
            f'--{name}', action=TestOption, dest='cfg_options', metavar=name.upper(), help=text
        )


def add_config_options(parser: ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    text = 'config values to override, as key.subkey=value'
    parser.add_argument('--cfg-options', nargs='+', action=ConfigOptions, help=text)


def add_run_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of a run: its config, work dir, launcher and device."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    add_config_options(parser)
    launchers = ['none', 'pytorch', 'slurm', 'mpi']
    parser.add_argument('--launcher', choices=launchers, default='none', help='launcher')
    parser.add_argument(
        '--gpus',
        type=int,
        help='number of GPUs to use, one process each, without a launcher; 0: the CPU; '
        'default: one GPU if there is one',
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda if there is a GPU')
    # Launchers that pass this argument also set LOCAL_RANK.
    parser.add_argument('--local_rank', '--local-rank', type=int, help=SUPPRESS)


def add_network_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of a trained network, the device and the decoding processes."""
    parser.add_argument('--config', required=True, help='config file')
    parser.add_argument('--checkpoint', required=True, help=CHECKPOINT_HELP)
    parser.add_argument('--device', help='cpu, cuda or cuda:1; default: a GPU if there is one')
    workers = 'processes that decode (default: all cores)'
    parser.add_argument('--workers', type=int, default=cores_of_process(), help=workers)
    add_test_options(parser)
    add_config_options(parser)

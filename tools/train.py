"""Train a recognizer: the script behind ``mim train r21d_plugin``."""

from __future__ import annotations

import argparse
from logging import getLogger
from pathlib import Path
from typing import Any

from r21d_plugin import InputError
from r21d_plugin.cli.arguments import add_run_arguments
from r21d_plugin.cli.errors import errors_in_one_line


def parse_args() -> argparse.Namespace:
    """Parse MMAction2's arguments of training, ``--gpus`` and ``--device``."""
    parser = argparse.ArgumentParser(description='Train a recognizer.')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint, or from the latest one in the work dir',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (on the CPU in bfloat16)'
    )
    parser.add_argument('--no-validate', action='store_true', help='do not validate while training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the clips per step (always on in our configs)',
    )
    parser.add_argument('--seed', type=int, help="random seed; default: the config's")
    parser.add_argument(
        '--diff-rank-seed', action='store_true', help='use a different seed for each rank'
    )
    parser.add_argument('--deterministic', action='store_true', help='deterministic cuDNN')
    add_run_arguments(parser)
    return parser.parse_args()


def apply_args(cfg: Any, args: argparse.Namespace) -> None:
    """Apply the arguments to the config; raise an InputError if a part of it is missing."""
    from r21d_plugin.cli.config_check import check_run

    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        (cfg.get('default_hooks', {}).get('checkpoint') or {}).pop('save_best', None)
    check_run(cfg, args.config)
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        cfg.auto_scale_lr = dict(cfg.get('auto_scale_lr') or {}, enable=True)
    given = dict(
        seed=args.seed,
        diff_rank_seed=args.diff_rank_seed or None,
        deterministic=args.deterministic or None,
    )
    given = {key: value for key, value in given.items() if value is not None}
    if given:
        cfg.randomness = dict(cfg.get('randomness') or dict(seed=None), **given)


def use_bfloat16_on_the_cpu(cfg: Any) -> None:
    """Replace MMEngine's mixed precision, which requires a GPU."""
    from mmengine.device import get_device

    if cfg.optim_wrapper.get('type') == 'AmpOptimWrapper' and get_device() == 'cpu':
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            cfg.optim_wrapper.pop(key, None)
        cfg.optim_wrapper.type = 'r21d_plugin.BFloat16OptimWrapper'


def resume(cfg: Any, checkpoint: str | None) -> None:
    """Make the config resume from ``--resume``, or from the checkpoint that it names itself.

    ``'auto'`` means the last checkpoint in the work dir, if there is one.
    """
    from r21d_plugin.engine.checkpoints import latest_checkpoint

    if checkpoint is None and not cfg.get('resume'):
        return
    named = checkpoint or cfg.get('load_from') or 'auto'
    path = latest_checkpoint(cfg.work_dir, getLogger(__name__)) if named == 'auto' else named
    cfg.resume = path is not None
    cfg.load_from = path or cfg.get('load_from')


def main() -> None:
    """Train."""
    args = parse_args()
    with errors_in_one_line():
        from r21d_plugin.cli import launch
        from r21d_plugin.cli.runner import CommandRunner

        cfg = launch.load_config(args.config, args.cfg_options)
        if cfg.get('train_cfg') is None:
            raise InputError(f'{args.config}: no train_cfg: this config is only for tests')
        apply_args(cfg, args)
        with launch.processes(cfg, args.launcher, args.device, args.gpus):
            use_bfloat16_on_the_cpu(cfg)
            resume(cfg, args.resume)
            CommandRunner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()

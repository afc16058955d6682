"""Test a recognizer: the script behind ``mim test r21d_plugin``."""

import argparse
from pathlib import Path
from typing import Any

from r21d_plugin import InputError
from r21d_plugin._atomic import check_writable
from r21d_plugin.cli.arguments import CHECKPOINT_HELP, add_run_arguments, add_test_options
from r21d_plugin.cli.errors import errors_in_one_line

MOST_KEPT = 50_000  # videos; with 400 classes and 10 clips each, their scores take 800 MB


def parse_args() -> argparse.Namespace:
    """Parse MMAction2's arguments of testing, ``--gpus`` and ``--device``."""
    parser = argparse.ArgumentParser(description='Test a recognizer.')
    add_run_arguments(parser)
    add_test_options(parser)
    parser.add_argument('checkpoint', nargs='?', help=CHECKPOINT_HELP)
    parser.add_argument(
        '--dump', metavar='FILE', help='write scores to this .npz file, or all predictions (.pkl)'
    )
    parser.add_argument('--show-dir', help='folder for frames with the prediction drawn on them')
    parser.add_argument('--show', action='store_true', help='show these frames in a window')
    parser.add_argument('--interval', type=int, default=1, help='draw every n-th video')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds to show each video')
    return parser.parse_args()


def apply_args(cfg: Any, args: argparse.Namespace) -> None:
    """Apply the arguments to the config."""
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{Path(args.config).stem}'
    cfg.resume = False
    cfg.load_from = None if args.checkpoint == 'none' else args.checkpoint  # mim requires a value
    if args.dump:
        if not args.dump.endswith(('.npz', '.pkl', '.pickle')):
            raise InputError(f'--dump {args.dump}: give a name that ends in .npz or .pkl')
        check_writable(Path(args.dump))
        evaluators = cfg.test_evaluator
        evaluators = list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
        dump = 'r21d_plugin.DumpScores' if args.dump.endswith('.npz') else 'DumpResults'
        cfg.test_evaluator = [*evaluators, dict(type=dump, out_file_path=args.dump)]
    if args.show or args.show_dir:
        cfg.setdefault('default_hooks', {})['visualization'] = dict(
            type='r21d_plugin.PredictionPicturesHook',
            show_frames=args.show,
            wait_time=args.wait_time,
            out_dir=args.show_dir,
            interval=args.interval,
        )


def keep_scores(runner: Any) -> None:
    """Store the scores of up to 50,000 videos with classes beside the log, for a report."""
    from r21d_plugin.engine.tasks import head_of
    from r21d_plugin.evaluation.scores import KeptScores
    from r21d_plugin.models.tasks import LABELS, NUMBERS, task_of

    if task_of(head_of(runner)) in (LABELS, NUMBERS):
        return

    loop = runner.test_loop  # a custom test loop may have no evaluator
    if hasattr(loop, 'evaluator') and len(loop.dataloader.dataset) <= MOST_KEPT:
        metric = KeptScores(f'{runner.log_dir}/scores.npz')
        metric.dataset_meta = loop.evaluator.dataset_meta
        loop.evaluator.metrics.append(metric)


def main() -> None:
    """Test."""
    args = parse_args()
    with errors_in_one_line():
        from r21d_plugin.cli import launch
        from r21d_plugin.cli.config_check import check_run
        from r21d_plugin.cli.runner import CommandRunner

        cfg = launch.load_config(args.config, args.cfg_options)
        if cfg.get('test_cfg') is None:
            raise InputError(f'{args.config}: no test_cfg: nothing to test')
        check_run(cfg, args.config)
        apply_args(cfg, args)
        if cfg.load_from is None and not cfg.model.get('checkpoints'):
            raise InputError('no checkpoint to test: name one after the config')
        with launch.processes(cfg, args.launcher, args.device, args.gpus):
            runner = CommandRunner.from_cfg(cfg)
            keep_scores(runner)
            runner.test()


if __name__ == '__main__':
    main()

"""Test a recognizer: the script behind ``mim test r21d_plugin``."""

import argparse
from typing import Any

from arguments import add_common_arguments, choose_work_dir, import_launch, parse


def parse_args() -> argparse.Namespace:
    """Parse MMAction2's arguments of testing, ``--gpus`` and ``--device``."""
    parser = argparse.ArgumentParser(description='Test a recognizer.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file or URL; none for two streams whose checkpoints are named by '
        '--cfg-options model.checkpoints.rgb=... model.checkpoints.flow=...',
    )
    parser.add_argument('--dump', metavar='PKL', help='pickle the predictions into this file')
    parser.add_argument('--show-dir', help='folder for videos with the prediction drawn on them')
    parser.add_argument('--show', action='store_true', help='show these in a window')
    parser.add_argument('--interval', type=int, default=1, help='draw every n-th video')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds to show each video')
    add_common_arguments(parser)
    return parse(parser)


def apply_args(cfg: Any, args: argparse.Namespace) -> None:
    """Write the arguments into the config."""
    choose_work_dir(cfg, args)
    cfg.load_from = None if args.checkpoint == 'none' else args.checkpoint  # mim demands a word
    if args.dump:
        evaluators = cfg.test_evaluator
        evaluators = list(evaluators) if isinstance(evaluators, list | tuple) else [evaluators]
        cfg.test_evaluator = [*evaluators, dict(type='DumpResults', out_file_path=args.dump)]
    if args.show or args.show_dir:
        cfg.default_hooks.visualization = dict(
            type='r21d_plugin.PredictionPicturesHook',
            show=args.show,
            wait_time=args.wait_time,
            out_dir=args.show_dir,
            interval=args.interval,
        )


def main() -> None:
    """Test."""
    args = parse_args()
    launch = import_launch()
    with launch.errors_in_one_line():
        cfg = launch.load_config(args.config, args.cfg_options)
        apply_args(cfg, args)
        launch.check_checkpoint(cfg)
        with launch.processes(cfg, args.launcher, args.device, args.gpus):
            runner = launch.build_runner(cfg, args.config)
            runner.test()


if __name__ == '__main__':
    main()

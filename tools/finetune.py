"""Finetune a pretrained network on your own videos, test it and write a report.

DATA is a folder written by `prepare folder`. All output goes to WORK_DIR; open report.html there.
The commands are printed, and each can be run separately.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from r21d_plugin import InputError
from r21d_plugin.cli.arguments import add_config_options
from r21d_plugin.cli.errors import errors_in_one_line

TOOLS = Path(__file__).parent
NETWORKS = ('r2plus1d_18', 'r2plus1d_34', 'mc3_18', 'r3d_18')


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('data', metavar='DATA', help='folder with train.txt, val.txt and names')
    parser.add_argument(
        '--weights',
        help='public weights by name, a checkpoint or a URL; default: torchvision_kinetics_16f of '
        "R(2+1)D-18, or the config's",
    )
    parser.add_argument(
        '--config', help='finetuning config; default: the one for the network of the weights'
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        '--frozen',
        action='store_true',
        help='train only the classifier, on features that are computed once',
    )
    way.add_argument('--resume', action='store_true', help='resume an interrupted run')
    parser.add_argument('--work-dir', type=Path, help='folder for all output (work_dirs/DATA)')
    parser.add_argument('--gpus', type=int, help='GPUs; 0: the CPU; default: a GPU if there is one')
    add_config_options(parser)
    return parser.parse_args()


def choose_config(weights: str | None) -> str:
    """Return the finetuning config for the network of weights."""
    if weights is None:
        return f'configs/finetune_{NETWORKS[0]}.py'
    found = networks_of(weights)
    if len(found) != 1 or found[0] not in NETWORKS:
        configs = ', '.join(f'finetune_{network}.py' for network in NETWORKS)
        what = f'weights of {" and ".join(found)}' if found else 'its network is not known'
        raise InputError(f'--weights {weights}: {what}: choose with --config, from {configs}')
    return f'configs/finetune_{found[0]}.py'


def networks_of(weights: str) -> list[str]:
    """Return the names of networks that match public weights or a file; none for a URL."""
    from r21d_plugin import list_models
    from r21d_plugin.models.factory import network_of
    from r21d_plugin.weights import read_weights
    from r21d_plugin.weights.public import public_names

    public = [name for name in list_models() if weights in public_names(name)]
    if public or '://' in weights:
        return public
    return list(filter(None, [network_of(read_weights(weights).tensors)]))


def run(mim: str, script: str, *arguments: object) -> None:
    """Print a command for mim, run its script, and exit with its status if it fails."""
    words = [str(word) for word in arguments]
    print(f'\n$ mim {mim} {shlex.join(words)}', flush=True)
    status = subprocess.run([sys.executable, str(TOOLS / script), *words]).returncode
    if status:
        sys.exit(status)


def train(args: argparse.Namespace, config: str, work_dir: Path, options: dict[str, Any]) -> Path:
    """Train, and return the checkpoint with the best validation result."""
    changes = ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    common = [config, '--work-dir', work_dir]
    if args.frozen:
        cpu = ['--device', 'cpu'] if args.gpus == 0 else []
        run('run r21d_plugin linear_probe', 'linear_probe.py', *common, *cpu, *changes)
        return work_dir / 'linear_probe.pth'
    gpus = [] if args.gpus is None else ['--gpus', args.gpus]
    resume = ['--resume'] if args.resume else []
    run('train r21d_plugin', 'train.py', *common, *gpus, *resume, *changes)
    best = [*work_dir.glob('best_*.pth')]
    if len(best) != 1:
        problem = f'{len(best)} checkpoints best_*.pth, not one'
        raise InputError(f'{work_dir}: {problem}: name the one to use for r21d test')
    return best[0]


def main() -> None:
    """Train, test and report."""
    args = parse_args()
    with errors_in_one_line():
        from mmengine.device import get_device

        from r21d_plugin.cli.launch import load_config

        config = args.config or choose_config(args.weights)
        work_dir = args.work_dir or Path('work_dirs', Path(args.data).resolve().name)
        if args.gpus is None and get_device() == 'cpu':
            args.gpus = 0  # mim train would ask for a GPU
        if not args.resume and [*work_dir.glob('*.pth')]:
            remedy = 'continue it with --resume, or give another --work-dir'
            raise InputError(f'{work_dir}: has checkpoints of another run: {remedy}')
        options: dict[str, Any] = dict(data_root=args.data)
        if args.weights is not None:
            options['weights'] = args.weights
        options.update(args.cfg_options or {})
        cfg = load_config(config, options)
        if args.frozen and (args.gpus or 0) > 1:
            raise InputError(f'--gpus {args.gpus}: --frozen uses one GPU')
        if args.frozen and cfg.load_from is None:
            raise InputError('--frozen trains only the classifier: give --weights of the network')
        task = cfg.get('task', 'one class')
        if args.frozen and task != 'one class':
            raise InputError(f'--frozen is for one class, and {args.data} is for {task}: remove it')
        checkpoint = train(args, config, work_dir, options)
        cpu = ['--device', 'cpu'] if args.gpus == 0 else []
        tested = [work_dir / Path(cfg.filename).name, checkpoint, '--work-dir', work_dir]
        run('run r21d_plugin test', 'test.py', *tested, *cpu)
        report: object = f'none for {task}'
        if task in ('one class', 'ordered classes'):
            run('run r21d_plugin report', 'report.py', work_dir, *cpu)
            report = work_dir / 'report.html'
        print(f'\ncheckpoint: {checkpoint}\nreport: {report}')


if __name__ == '__main__':
    main()

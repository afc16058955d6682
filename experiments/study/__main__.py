"""Run the paper's comparisons on the harder motion dataset, and write a report.

Makes the videos, trains and tests all networks, and writes report.md and report.html. Run the same
command again to resume an interrupted study.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--scale',
        choices=['small', 'full'],
        default='small',
        help='small: for 2 CPU cores; full: for a GPU with 16 cores (small)',
    )
    parser.add_argument('--out', type=Path, help='folder of the study (work_dirs/study_SCALE)')
    parser.add_argument('--seeds', type=int, help="number of seeds; default: the scale's")
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count(), help='parallel runs; default: one per core'
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda if there is a GPU')
    return parser.parse_args()


def main() -> None:
    """Run and report."""
    args = parse_args()
    import torch

    from r21d_plugin import InputError
    from r21d_plugin.cli.errors import errors_in_one_line
    from tools.complexity import measure

    with errors_in_one_line():
        from experiments.study import SCALES, epochs_of, make_videos, run_all, runs, write_report

        scale = SCALES[args.scale]
        seeds = scale.seeds if args.seeds is None else args.seeds
        if min(seeds, args.jobs) < 1:
            raise InputError('--seeds and --jobs must be at least 1')
        out = (args.out or Path(f'work_dirs/study_{args.scale}')).absolute()
        device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        videos = make_videos(scale, out, os.cpu_count() or 1)
        for _ in tqdm(videos, total=scale.train + scale.val, desc='videos', delay=1):
            pass
        planned = runs(seeds)
        work = {run: measure(run.network, run.frames).gflops for run in planned}
        done = dict.fromkeys(planned, 0)
        total = sum(work[run] * epochs_of(run, scale) for run in planned)
        form = '{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}'
        with tqdm(total=total, desc=f'{len(planned)} runs', bar_format=form) as bar:

            def progress(run, epochs):
                bar.update(work[run] * (epochs - done[run]))
                done[run] = epochs
                bar.set_postfix_str(f'{run.name} epoch {epochs}')

            run_all(planned, scale, out, device, args.jobs, progress)
        command = shlex.join(['python', '-m', 'experiments.study', *sys.argv[1:]])
        for path in write_report(planned, scale, out, device, command):
            print(path)


if __name__ == '__main__':
    main()

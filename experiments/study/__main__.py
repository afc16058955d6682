"""Run the paper's comparisons on made videos, and write a report.

Makes the videos, chooses learning rates, trains and tests all networks, and writes report.md. Run
the same command again to resume an interrupted study.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from experiments.study.plan import SCALES, runs, tuning_runs
from r21d_plugin import InputError
from r21d_plugin._compat import process_cpu_count
from r21d_plugin.cli.errors import errors_in_one_line


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--scale',
        choices=SCALES,
        default='small',
        help='small: for 2 CPU cores; repeat: what that left undecided, with new seeds; full: for '
        'a GPU; tenth: full with two seeds and a tenth of the steps and tests, to try it; tiny: '
        'for tests of the code (small)',
    )
    parser.add_argument('--out', type=Path, help='folder of the study (work_dirs/study_SCALE)')
    parser.add_argument('--jobs', type=int, help='processes (one per core, and with a GPU 8)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda if there is a GPU')
    return parser.parse_args()


def main() -> None:
    """Run and report."""
    args = parse_args()
    with errors_in_one_line():
        from experiments.study.report import write_report
        from experiments.study.running import run_all

        scale = SCALES[args.scale]
        device = args.device or ('cuda' if torch.cuda.device_count() else 'cpu')
        jobs = args.jobs or (8 if device == 'cuda' else process_cpu_count())
        if jobs < 1:
            raise InputError('--jobs must be at least 1')
        out = args.out or Path(f'work_dirs/study_{args.scale}')
        with tqdm(total=len(tuning_runs(scale)) + len(runs(scale)), unit='run') as bar:

            def progress(finished: int) -> None:
                bar.update(finished - bar.n)

            run_all(scale, out, device, jobs, progress)
        print(write_report(scale, out))


if __name__ == '__main__':
    main()

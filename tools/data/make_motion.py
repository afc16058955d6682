"""Generate the motion dataset: small real videos in which only motion tells the classes apart."""

import argparse
import os
import sys
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', nargs='?', type=Path, default=Path('data/motion'), help='folder')
    parser.add_argument(
        '--hard', action='store_true', help='make the harder dataset, that of experiments/study'
    )
    parser.add_argument('--train', type=int, default=1000, help='training videos (1000)')
    parser.add_argument('--val', type=int, default=200, help='validation videos (200)')
    parser.add_argument('--seed', type=int, default=0, help='seed (0)')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    return parser.parse_args()


def main() -> None:
    """Generate the dataset."""
    args = parse_args()
    from r21d_plugin.datasets.motion import MOTION, make_dataset
    from r21d_plugin.engine import errors_in_one_line

    with errors_in_one_line():
        kind = MOTION
        if args.hard:
            # The folder of a checkout, where experiments lies beside tools.
            sys.path.append(str(Path(__file__).resolve().parents[2]))
            from experiments.study.hard_motion import HARD_MOTION

            kind = HARD_MOTION
        lines = make_dataset(args.out, args.train, args.val, args.seed, args.workers, kind)
        for _ in tqdm(lines, total=args.train + args.val, unit='video', desc=str(args.out)):
            pass


if __name__ == '__main__':
    main()

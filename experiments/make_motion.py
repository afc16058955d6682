"""Generate the motion dataset: small videos whose classes differ only in motion."""

import argparse
import os
from pathlib import Path

from tqdm import tqdm

from experiments.motion import make_dataset
from r21d_plugin.cli.errors import errors_in_one_line


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', nargs='?', type=Path, default=Path('data/motion'), help='folder')
    parser.add_argument('--train', type=int, default=1000, help='training videos (1000)')
    parser.add_argument('--val', type=int, default=200, help='validation videos (200)')
    parser.add_argument('--seed', type=int, default=0, help='seed (0)')
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes')
    return parser.parse_args()


def main() -> None:
    """Generate the dataset."""
    args = parse_args()
    with errors_in_one_line():
        lines = make_dataset(args.out, args.train, args.val, args.seed, args.workers)
        for _ in tqdm(lines, total=args.train + args.val, unit='video', desc=str(args.out)):
            pass


if __name__ == '__main__':
    main()

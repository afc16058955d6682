"""Plot training and validation error against epochs (Figure 3) from the logs of runs."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path, help='work dirs of mim train')
    parser.add_argument('--out', type=Path, required=True, metavar='PNG', help='picture to write')
    return parser.parse_args()


def main() -> None:
    """Print the last errors and plot all."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line
    from r21d_plugin.evaluation.plots import plot_training_curves
    from r21d_plugin.evaluation.training_curves import last_errors_table, read_runs

    with errors_in_one_line():
        runs = read_runs(args.work_dirs)
        plot_training_curves(runs, args.out)
    print(last_errors_table(runs))
    print(f'\n{args.out}')


if __name__ == '__main__':
    main()

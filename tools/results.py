"""Print the accuracy of finished tests, a row for each work dir."""

import argparse
from pathlib import Path

from tabulate import tabulate


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path, help='work dirs of mim test')
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    args = parse_args()
    from r21d_plugin.engine import errors_in_one_line
    from r21d_plugin.evaluation.report import METRICS, last_test

    with errors_in_one_line():
        rows = [(path, last_test(path)) for path in args.work_dirs]
    table = [[path.name, *(f'{row[name]:.1%}' for name in METRICS)] for path, row in rows]
    align = ('left', 'right', 'right', 'right')
    print(tabulate(table, ['run', *METRICS], colalign=align, disable_numparse=True))


if __name__ == '__main__':
    main()

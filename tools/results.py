"""Print the accuracy of finished tests, with one row for each work dir or stream."""

import argparse
import os
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path, help='work dirs of mim test')
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line

    with errors_in_one_line():
        from r21d_plugin.evaluation.results import accuracy_table, group_by_stream, last_test

        paths = [path.resolve() for path in args.work_dirs]
        folder = os.path.commonpath([path.parent for path in paths])
        rows = {
            f'{os.path.relpath(path, folder)} {stream}'.rstrip(): metrics
            for path in paths
            for stream, metrics in group_by_stream(last_test(path)).items()
        }
    print(accuracy_table(rows, 'run'))


if __name__ == '__main__':
    main()

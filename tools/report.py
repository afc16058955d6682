"""Write an HTML report on the last test in a work dir: accuracy, classes, mistakes and more.

mim test and r21d test store the required scores. Run this script in the folder of the test run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from r21d_plugin._atomic import check_writable
from r21d_plugin.cli.errors import errors_in_one_line


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', type=Path, metavar='WORK_DIR', help='work dir of the test')
    parser.add_argument(
        '--out', type=Path, metavar='HTML', help='page to write (WORK_DIR/report.html)'
    )
    parser.add_argument(
        '--labels',
        type=Path,
        metavar='FILE',
        help='class names, one per line; default: those in the checkpoint, else in the label map '
        "beside the test's annotation file, else numbers",
    )
    parser.add_argument('--device', help='cpu, cuda or cuda:1; default: a GPU if there is one')
    return parser.parse_args()


def main() -> None:
    """Write the page."""
    args = parse_args()
    with errors_in_one_line():
        from r21d_plugin.cli.launch import load_config
        from r21d_plugin.evaluation.report import find_test, write_report
        from r21d_plugin.inference.class_names import class_names
        from r21d_plugin.inference.recognizer import use_device

        page = args.out or args.work_dir / 'report.html'
        test = find_test(args.work_dir)
        check_writable(page)
        cfg = load_config(str(test.config))
        names = class_names(cfg, str(test.folder), test.classes, args.labels)
        for gap in write_report(test, cfg, names, use_device(args.device), page):
            print(f'left out: {gap}', file=sys.stderr)
    print(page)


if __name__ == '__main__':
    main()

"""Evaluate stored features: a linear probe, and retrieval by nearest neighbours.

FEATURES were written by `r21d features` for the folder of the paths in both lists. The features of
a video are averaged. The classifier is a logistic regression. Retrieval of a test video is correct
if one of the k most similar training videos (by cosine) has its class.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from r21d_plugin._atomic import check_writable, write_json
from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from tabulate import tabulate


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'features', nargs='+', type=Path, metavar='FEATURES', help='folders and .h5 files'
    )
    parser.add_argument(
        '--test-features',
        nargs='+',
        type=Path,
        metavar='FEATURES',
        help='features of the test, if they are stored elsewhere',
    )
    for name, use in (('train', 'fit to, and to retrieve from'), ('test', 'test')):
        text = f'list of the videos to {use}: path label'
        parser.add_argument(f'--{name}', type=Path, required=True, metavar='LIST', help=text)
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results to this file')
    return parser.parse_args()


def main() -> None:
    """Probe."""
    args = parse_args()
    with errors_in_one_line():
        from r21d_plugin.inference.probe import labelled_features, mean_features, probe

        if args.json:
            check_writable(args.json)
        means = mean_features(args.features)
        training = labelled_features(args.train, means)
        if args.test_features:
            means = mean_features(args.test_features)
        found = probe(training, labelled_features(args.test, means))
        if args.json:
            write_json(args.json, found)
        rows = [('linear probe, top-1', found['top1'])]
        rows += [(f'retrieval, R@{count}', recall) for count, recall in found['recall'].items()]
        body = [(name, f'{value:.1%}') for name, value in rows]
        title = '{train} videos to train, {test} to test'.format(**found['videos'])
        print(f'{title}\n{tabulate(body, tablefmt="plain", colalign=("left", "right"))}')


if __name__ == '__main__':
    main()

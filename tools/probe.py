"""Measure stored features by a linear probe and by nearest-neighbour retrieval.

FEATURES is what `r21d features VIDEOS --out FEATURES` wrote. A line of a list is the path of a
video below VIDEOS and the number of its class, as `r21d prepare folder` writes them. The features
of a video are averaged. The linear probe is a logistic regression; its figure is the accuracy on
the test list. R@k is the part of the test videos that have a video of their class among the k
training videos that are most similar (by cosine). docs/features.md has an example.
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
        'features', nargs='+', type=Path, metavar='FEATURES', help='folder or .h5 file'
    )
    parser.add_argument(
        '--test-features',
        nargs='+',
        type=Path,
        metavar='FEATURES',
        help='folder or .h5 file for the test list (FEATURES)',
    )
    for name, use in (('train', 'fit to and to retrieve from'), ('test', 'test')):
        text = f'file that lists the videos to {use}'
        parser.add_argument(f'--{name}', type=Path, required=True, metavar='LIST', help=text)
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write the figures, from 0 to 1, to a file'
    )
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

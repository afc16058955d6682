"""Convert weights to a checkpoint of r21d_plugin, or to torchvision's format.

Reads .pth of torchvision and ig65m-pytorch, Caffe2 .pkl of VMZ, and checkpoints of r21d_plugin.
None has to be converted to be used here.
"""

import argparse
from pathlib import Path

from tabulate import tabulate


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', help='weights, file or URL')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument('--to', choices=['r21d', 'torchvision'], required=True, help='format')
    return parser.parse_args()


def main() -> None:
    """Convert and report."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line
    from r21d_plugin.weights.conversion import convert

    with errors_in_one_line():
        done = convert(args.source, args.out, args.to)
        rows = [
            ['source', f'{args.source}: {done.source}'],
            ['network', done.network],
            ['batch norm', f'for an epsilon of {done.eps:g}, running variances {done.shift:+g}'],
            ['written', args.out],
        ]
        print(tabulate(rows, tablefmt='plain'))


if __name__ == '__main__':
    main()

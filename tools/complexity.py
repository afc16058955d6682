"""Print parameters, multiply-adds and output shape of the paper's networks."""

import argparse

from tabulate import tabulate


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('networks', nargs='*', help='names such as r2plus1d_34; default: all')
    parser.add_argument('--clip-len', type=int, default=8, help='frames of a clip (8)')
    parser.add_argument('--size', type=int, default=112, help='height and width in pixels (112)')
    parser.add_argument('--in-channels', type=int, default=3, help='channels of a frame (3)')
    parser.add_argument('--num-classes', type=int, default=400, help='classes (400)')
    parser.add_argument('--markdown', action='store_true', help="print the README's table")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    args = parse_args()
    import r21d_plugin
    from r21d_plugin.cli.errors import errors_in_one_line
    from r21d_plugin.evaluation.complexity import measure

    with errors_in_one_line():
        rows = [
            measure(name, args.clip_len, args.size, args.in_channels, args.num_classes)
            for name in args.networks or r21d_plugin.list_models()
        ]
        header = ['network', 'parameters', 'GFLOPs', 'output C x T x H x W']
        table = [
            [
                row.network,
                f'{row.parameters:,}',
                f'{row.gflops:.1f}',
                ' x '.join(map(str, row.output)),
            ]
            for row in rows
        ]
        align = ('left', 'right', 'right', 'right')
        style = 'github' if args.markdown else 'simple'
        print(tabulate(table, header, tablefmt=style, colalign=align, disable_numparse=True))


if __name__ == '__main__':
    main()

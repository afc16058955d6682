"""Fuse the scores of two finished tests, dumped by mim test --dump, and print the accuracy."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('rgb', type=Path, help='dump of the RGB stream')
    parser.add_argument('flow', type=Path, help='dump of the flow stream')
    parser.add_argument(
        '--weights',
        type=float,
        nargs=2,
        default=[1, 1],
        metavar=('RGB', 'FLOW'),
        help="weights of the two (1 1, the paper's mean; the authors' script has 0.6 0.4)",
    )
    parser.add_argument(
        '--sweep',
        nargs='?',
        const=Path('sweep.png'),
        type=Path,
        metavar='PNG',
        help='print accuracy against the weight of flow, and plot it (sweep.png)',
    )
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line
    from r21d_plugin.evaluation import scores
    from r21d_plugin.evaluation.plots import plot_curve
    from r21d_plugin.evaluation.results import accuracy_table

    with errors_in_one_line():
        tests = {path: scores.read_scores(path) for path in (args.rgb, args.flow)}
        scores.check_same_videos(tests)
        rgb, flow = tests.values()
        fused = scores.fuse([rgb, flow], args.weights)
        rows = {str(path): scores.accuracy(test) for path, test in tests.items()}
        rows['fused {:g} : {:g}'.format(*args.weights)] = scores.accuracy(fused)
        print(f'{len(fused)} videos\n\n{accuracy_table(rows, "scores")}')
        if args.sweep:
            curve = scores.sweep_weights(rgb, flow)
            plot_curve(curve, args.sweep, 'weight of flow (0: RGB alone, 1: flow alone)')
            rows = {f'{weight:.2f}': row for weight, row in curve.items()}
            print(f'\n{accuracy_table(rows, "weight of flow")}\n\n{args.sweep}')


if __name__ == '__main__':
    main()

"""Print and plot accuracy against the number of clips (Figure 5b), from one test with many clips.

Test with the largest number of clips, and dump the scores: mim test ... --dump NPZ
--cfg-options test_dataloader.dataset.pipeline.1.num_clips=100. Each crop counts as a clip, so test
with one crop.
"""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('scores', type=Path, help='dump of the test')
    parser.add_argument(
        '--clips', type=int, nargs='+', help='numbers of clips (1 2 5 10 20 50 100, up to all)'
    )
    parser.add_argument('--plot', type=Path, metavar='PNG', help='image to write')
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line

    with errors_in_one_line():
        from r21d_plugin.evaluation.plots import plot_curve
        from r21d_plugin.evaluation.results import accuracy_table
        from r21d_plugin.evaluation.scores import accuracy_by_clips, read_scores

        curve = accuracy_by_clips(read_scores(args.scores), args.clips)
        print(accuracy_table({str(count): row for count, row in curve.items()}, 'clips'))
        if args.plot:
            plot_curve(curve, args.plot, 'clips of a video')
            print(f'\n{args.plot}')


if __name__ == '__main__':
    main()

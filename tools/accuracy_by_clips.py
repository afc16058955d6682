"""Print, and plot, accuracy against the number of clips (Figure 5b) from one test with many.

Test with as many clips as the largest number, and dump the scores: mim test ... --dump NPZ
--cfg-options test_dataloader.dataset.pipeline.1.num_clips=100.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from r21d_plugin.evaluation.scores import Scores

COUNTS = [1, 2, 5, 10, 20, 50, 100]


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('scores', type=Path, help='dump of the test')
    parser.add_argument(
        '--clips', type=int, nargs='+', help='numbers of clips (1 2 5 10 20 50 100, as there are)'
    )
    parser.add_argument('--plot', type=Path, metavar='PNG', help='picture to write')
    return parser.parse_args()


def accuracy_by_clips(
    test: Mapping[str, Scores], counts: Sequence[int]
) -> dict[int, dict[str, float]]:
    """Accuracy with fewer clips of each video, spread evenly over those tested.

    Raises:
        InputError: If a count is less than 1 or more than the clips of a video.
    """
    from r21d_plugin import InputError
    from r21d_plugin.evaluation.scores import accuracy

    available = min(len(clips) for clips, _ in test.values())
    wrong = [count for count in counts if not 1 <= count <= available]
    if wrong:
        raise InputError(f'{wrong[0]} clips asked for: the test has 1 to {available} of each video')
    return {
        count: accuracy({video: select_clips(scores, count) for video, scores in test.items()})
        for count in counts
    }


def select_clips(scores: Scores, count: int) -> Scores:
    """Scores of evenly spread clips of a video; a single one is the middle one."""
    last = len(scores.clips) - 1
    chosen = [i * last // (count - 1) for i in range(count)] if count > 1 else [last // 2]
    return scores._replace(clips=scores.clips[chosen])


def main() -> None:
    """Print the table."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line

    with errors_in_one_line():
        from r21d_plugin.evaluation.plots import plot_curve
        from r21d_plugin.evaluation.results import accuracy_table
        from r21d_plugin.evaluation.scores import read_scores

        scores = read_scores(args.scores)
        available = min(len(clips) for clips, _ in scores.values())
        counts = args.clips or [count for count in COUNTS if count <= available]
        curve = accuracy_by_clips(scores, counts)
        print(accuracy_table({str(count): row for count, row in curve.items()}, 'clips'))
        if args.plot:
            plot_curve(curve, args.plot, 'clips of a video')
            print(f'\n{args.plot}')


if __name__ == '__main__':
    main()

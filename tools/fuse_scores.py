"""Fuse the scores of two tests, dumped by mim test --dump, and print the accuracy."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from r21d_plugin import InputError
from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from r21d_plugin.evaluation.plots import plot_curve
    from r21d_plugin.evaluation.results import accuracy_table
    from r21d_plugin.evaluation.scores import Scores, accuracy, read_scores


def check_same_videos(tests: Mapping[Path, Mapping[str, Scores]]) -> None:
    """Check that tests, given by the file of their scores, have the same videos.

    Raises an InputError if the videos, or labels or numbers of clips or classes of a video, differ.
    """
    (first, ours), *others = tests.items()
    for other, theirs in others:
        for path, missing in ((first, theirs.keys() - ours), (other, ours.keys() - theirs)):
            if missing:
                names = ', '.join(sorted(missing)[:10]) + ', ...' * (len(missing) > 10)
                raise InputError(
                    f'{path}: no scores of {len(missing)} videos that the other has: {names}'
                )
        for video, scores in ours.items():
            for here, there in zip(name_sizes(scores), name_sizes(theirs[video])):
                if here != there:
                    raise InputError(f'{video} has {here} in {first} and {there} in {other}')


def name_sizes(scores: Scores) -> tuple[str, str]:
    """Describe the labels and the sizes of a video's scores."""
    sizes = ' x '.join(map(str, scores.clips.shape))
    return f'labels {sorted(scores.labels)}', f'{sizes} clips x classes'


def fuse(tests: Sequence[Mapping[str, Scores]], weights: Sequence[float]) -> dict[str, Scores]:
    """Average the scores of tests with the same videos; only ratios of the weights matter.

    Raises an InputError if the number of weights is wrong, one is negative, or all are zero.
    """
    if len(weights) != len(tests) or min(weights) < 0 or sum(weights) <= 0:
        raise InputError(
            f'weights {" ".join(map(str, weights))}: give {len(tests)}, not negative, not all zero'
        )
    shares = [weight / sum(weights) for weight in weights]
    fused = {}
    for video, (_, labels) in tests[0].items():
        parts = [share * test[video].clips for share, test in zip(shares, tests)]
        fused[video] = Scores(torch.stack(parts).sum(0), labels)
    return fused


def sweep_weights(
    first: Mapping[str, Scores], second: Mapping[str, Scores], steps: int = 20
) -> dict[float, dict[str, float]]:
    """Compute the accuracy by the weight of the second test, from 0 to 1."""
    shares = [i / steps for i in range(steps + 1)]
    return {share: accuracy(fuse([first, second], [1 - share, share])) for share in shares}


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
    with errors_in_one_line():
        if args.rgb.resolve() == args.flow.resolve():
            raise InputError(f'{args.rgb}: given twice: name the dumps of two tests')
        tests = {path: read_scores(path) for path in (args.rgb, args.flow)}
        check_same_videos(tests)
        rgb, flow = tests.values()
        fused = fuse([rgb, flow], args.weights)
        rows = {str(path): accuracy(test) for path, test in tests.items()}
        rows['fused {:g} : {:g}'.format(*args.weights)] = accuracy(fused)
        print(f'{len(fused)} videos\n\n{accuracy_table(rows, "scores")}')
        if args.sweep:
            curve = sweep_weights(rgb, flow)
            plot_curve(curve, args.sweep, 'weight of flow (0: RGB alone, 1: flow alone)')
            rows = {f'{weight:.2f}': row for weight, row in curve.items()}
            print(f'\n{accuracy_table(rows, "weight of flow")}\n\n{args.sweep}')


if __name__ == '__main__':
    main()

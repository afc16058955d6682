"""Late fusion of the scores of two finished tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from .._errors import InputError
from .dumps import Scores, accuracy


def check_alike(tests: Mapping[Path, Mapping[str, Scores]]) -> None:
    """Check that tests are of the same videos, labels, classes and clips.

    Args:
        tests (Mapping[Path, Mapping[str, Scores]]): Scores by dump.

    Raises:
        InputError: If they are not.
    """
    (first, ours), *others = tests.items()
    for other, theirs in others:
        for path, missing in ((first, theirs.keys() - ours), (other, ours.keys() - theirs)):
            if missing:
                names = sorted(missing)
                more = f' and {len(names) - 10} more' if len(names) > 10 else ''
                raise InputError(
                    f'{path}: no scores of {len(names)} videos that the other has: '
                    f'{", ".join(names[:10])}{more}'
                )
        for video, (clips, labels) in ours.items():
            if labels != theirs[video].labels:
                raise InputError(
                    f'{video} has label {in_words(labels)} in {first} and '
                    f'{in_words(theirs[video].labels)} in {other}'
                )
            if clips.shape != theirs[video].clips.shape:
                raise InputError(
                    f'{video} has {" x ".join(map(str, clips.shape))} clips x classes in {first} '
                    f'and {" x ".join(map(str, theirs[video].clips.shape))} in {other}'
                )


def in_words(labels: frozenset[int]) -> str:
    """Labels as 3, 17."""
    return ', '.join(map(str, sorted(labels)))


def fuse(tests: Sequence[Mapping[str, Scores]], weights: Sequence[float]) -> dict[str, Scores]:
    """Average the scores of tests that are alike.

    Args:
        tests (Sequence[Mapping[str, Scores]]): The tests.
        weights (Sequence[float]): A weight for each, of which only the ratios
            matter.

    Raises:
        InputError: If the weights are not as many, or not positive in sum.
    """
    if len(weights) != len(tests) or min(weights) < 0 or sum(weights) <= 0:
        raise InputError(
            f'weights {" ".join(map(str, weights))}: give {len(tests)}, not negative, not all zero'
        )
    shares = [weight / sum(weights) for weight in weights]
    fused = {}
    for video, (_, labels) in tests[0].items():
        parts = [share * test[video].clips for share, test in zip(shares, tests, strict=True)]
        fused[video] = Scores(torch.stack(parts).sum(0), labels)
    return fused


def sweep(
    first: Mapping[str, Scores], second: Mapping[str, Scores], steps: int = 20
) -> dict[float, dict[str, float]]:
    """Accuracy by the weight of the second test, from 0 to 1."""
    shares = [i / steps for i in range(steps + 1)]
    return {share: accuracy(fuse([first, second], [1 - share, share])) for share in shares}

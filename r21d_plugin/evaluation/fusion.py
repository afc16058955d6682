"""Late fusion of the scores of two finished tests."""

import io
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from .clip_video_accuracy import accuracies, clip_probabilities, hits, labels_of


class Scores(NamedTuple):
    """Scores of a video.

    Attributes:
        clips (Tensor): Softmax scores, clips x classes.
        labels (frozenset[int]): Its classes.
    """

    clips: Tensor
    labels: frozenset[int]


SAFE = {
    ('_codecs', 'encode'),
    ('collections', 'OrderedDict'),
    ('numpy', 'dtype'),
    ('numpy', 'ndarray'),
    ('numpy._core.multiarray', '_reconstruct'),
    ('numpy._core.multiarray', 'scalar'),
    ('torch._utils', '_rebuild_tensor_v2'),
}
"""What a dump may name: tensors, arrays and plain data."""


class DumpUnpickler(pickle.Unpickler):
    """Unpickler of dumps, which cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Look up what the pickle names.

        Raises:
            UnpicklingError: If it is more than data.
        """
        if (module, name) == ('torch.storage', '_load_from_bytes'):
            return lambda content: torch.load(io.BytesIO(content), weights_only=True)
        if (module, name) not in SAFE:
            raise pickle.UnpicklingError(f'{module}.{name}')
        return super().find_class(module, name)


def read_scores(path: Path) -> dict[str, Scores]:
    """Read the scores that ``mim test --dump`` wrote.

    Args:
        path (Path): The dump.

    Returns:
        dict[str, Scores]: By video: its path below the folder that all have in
        common, so that two tests may have had their videos in different places.

    Raises:
        InputError: If it is no such dump, or its scores are not finite.
    """
    if not path.is_file():
        raise InputError(f'{path}: no such file: write it with mim test --dump')
    try:
        with path.open('rb') as file:
            samples = DumpUnpickler(file).load()
        names = [sample['filename'] for sample in samples]
        scores = [Scores(clip_probabilities(s), labels_of(s)) for s in samples]
        folder = os.path.commonpath([os.path.dirname(name) for name in names])
    except Exception as error:  # what a wrong file raises is up to its bytes
        raise InputError(
            f'{path}: not a dump of scores with the filename of each video ({error!r}): write it '
            "with mim test --dump, and 'filename' in the meta_keys of PackActionInputs"
        ) from error
    videos = {
        os.path.relpath(name, folder or '.'): s for name, s in zip(names, scores, strict=True)
    }
    if len(videos) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f'{path}: {twice} is in it twice')
    for video, (clips, _) in videos.items():
        if not clips.isfinite().all():
            raise InputError(f'{path}: the scores of {video} are not finite: did training diverge?')
    return videos


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
    return {
        video: Scores(
            torch.stack([s * test[video].clips for s, test in zip(shares, tests, strict=True)]).sum(
                0
            ),
            labels,
        )
        for video, (_, labels) in tests[0].items()
    }


def accuracy(test: Mapping[str, Scores]) -> dict[str, float]:
    """clip@1, video@1 and video@5 of a test, 0 to 1."""
    return accuracies([hits(clips, labels) for clips, labels in test.values()])


def sweep(
    first: Mapping[str, Scores], second: Mapping[str, Scores], steps: int = 20
) -> dict[float, dict[str, float]]:
    """Accuracy by the weight of the second test, from 0 to 1."""
    shares = [i / steps for i in range(steps + 1)]
    return {share: accuracy(fuse([first, second], [1 - share, share])) for share in shares}

"""Reading the scores that tests dump."""

import codecs
import io
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy._core import multiarray
from torch import Tensor

from .._errors import InputError
from ..weights.pickles import RestrictedUnpickler
from .clip_video_accuracy import accuracies, clip_probabilities, hits, labels_of


class Scores(NamedTuple):
    """Scores of a video.

    Attributes:
        clips (Tensor): Softmax scores, clips x classes.
        labels (frozenset[int]): Its classes.
    """

    clips: Tensor
    labels: frozenset[int]


NAMES: dict[tuple[str, str], Any] = {
    ('_codecs', 'encode'): codecs.encode,
    ('collections', 'OrderedDict'): OrderedDict,
    ('numpy', 'dtype'): np.dtype,
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy._core.multiarray', '_reconstruct'): multiarray._reconstruct,
    ('numpy._core.multiarray', 'scalar'): multiarray.scalar,
    ('torch._utils', '_rebuild_tensor_v2'): torch._utils._rebuild_tensor_v2,
    ('torch.storage', '_load_from_bytes'): lambda content: torch.load(
        io.BytesIO(content), weights_only=True
    ),
}
"""What a dump may name: tensors, arrays and plain data."""


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
            samples = RestrictedUnpickler(file, NAMES).load()
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


def accuracy(test: Mapping[str, Scores]) -> dict[str, float]:
    """clip@1, video@1 and video@5 of a test, 0 to 1."""
    return accuracies([hits(clips, labels) for clips, labels in test.values()])


def accuracy_by_clips(
    test: Mapping[str, Scores], counts: Sequence[int]
) -> dict[int, dict[str, float]]:
    """Accuracy with fewer clips of each video, spread evenly over those tested (Figure 5b).

    Args:
        test (Mapping[str, Scores]): A test with many clips.
        counts (Sequence[int]): Numbers of clips.

    Returns:
        dict[int, dict[str, float]]: Accuracies by number of clips.

    Raises:
        InputError: If a number is less than 1 or more than the clips of a video.
    """
    available = min(len(clips) for clips, _ in test.values())
    for count in counts:
        if not 1 <= count <= available:
            raise InputError(
                f'{count} clips asked for: the test has 1 to {available} of each video'
            )
    return {
        count: accuracy({video: fewer(scores, count) for video, scores in test.items()})
        for count in counts
    }


def fewer(scores: Scores, count: int) -> Scores:
    """Scores of evenly spread clips of a video; a single one is the middle one."""
    last = len(scores.clips) - 1
    chosen = [i * last // (count - 1) for i in range(count)] if count > 1 else [last // 2]
    return scores._replace(clips=scores.clips[chosen])

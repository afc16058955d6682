"""Scores of finished tests: stored, read back, fused, and taken with fewer clips."""

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from .._atomic import atomic_write
from .._errors import InputError
from .._registries import METRICS
from ..weights.pickles import load_pickle_as_data
from .clip_video_accuracy import accuracies, clip_probabilities, hits, labels_of


class Scores(NamedTuple):
    """Scores of a video.

    Attributes:
        clips (Tensor): Softmax scores, clips x classes.
        labels (frozenset[int]): Its classes.
    """

    clips: Tensor
    labels: frozenset[int]


@METRICS.register_module()
class DumpScores(BaseMetric):
    """Write the scores of a test into an ``.npz`` file.

    It holds ``filenames`` (V), ``scores`` (V x clips x classes float32, softmax) and ``labels``
    (V x the most labels of a video, filled up with -1).

    Args:
        out_file_path (str): The file.
        **kwargs (Any): Arguments of MMEngine's BaseMetric.
    """

    default_prefix = ''

    def __init__(self, out_file_path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = Path(out_file_path)

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Keep the scores of one batch of videos."""
        for sample in data_samples:
            if 'filename' not in sample:
                raise InputError(
                    f"{self.path}: scores are stored by video: add 'filename' to the meta_keys of "
                    'PackActionInputs'
                )
            clips = clip_probabilities(sample).numpy()
            self.results.append((sample['filename'], clips, sorted(labels_of(sample))))

    def compute_metrics(self, results: list) -> dict:
        """Write the file; there are no metrics."""
        filenames, scores, labels = zip(*results, strict=True)
        padded = np.full((len(labels), max(map(len, labels))), -1)
        for row, of_video in zip(padded, labels, strict=True):
            row[: len(of_video)] = of_video
        with atomic_write(self.path, parents=True) as partial:
            np.savez(partial, filenames=filenames, scores=np.stack(scores), labels=padded)
        return {}


def read_scores(path: Path) -> dict[str, Scores]:
    """Read the scores that ``mim test --dump`` wrote.

    Args:
        path (Path): An ``.npz`` file of :class:`DumpScores`, or a pickle of MMEngine's
            DumpResults, which is read as data that cannot run code.

    Returns:
        dict[str, Scores]: By video: its path below the folder that all have in common, so that
        two tests may have had their videos in different places.

    Raises:
        InputError: If it is no such file, or its scores are not finite.
    """
    if not path.is_file():
        raise InputError(f'{path}: no such file: write it with mim test --dump')
    try:
        read = read_npz if zipfile.is_zipfile(path) else read_pickle
        names, scores = zip(*read(path), strict=True)
        folder = os.path.commonpath([os.path.dirname(name) for name in names])
    except Exception as error:  # what a wrong file raises is up to its bytes
        raise InputError(
            f'{path}: not a dump of scores with the filename of each video ({error!r:.200}): write '
            "it with mim test --dump, and 'filename' in the meta_keys of PackActionInputs"
        ) from error
    videos = dict(
        zip((os.path.relpath(name, folder or '.') for name in names), scores, strict=True)
    )
    if len(videos) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f'{path}: {twice} is in it twice')
    for video, (clips, _) in videos.items():
        if not clips.isfinite().all():
            raise InputError(f'{path}: the scores of {video} are not finite: did training diverge?')
    return videos


def read_npz(path: Path) -> list[tuple[str, Scores]]:
    """Read a file of :class:`DumpScores`.

    Raises:
        ValueError: If it is compressed, which could expand to any size, or no such file.
    """
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError('compressed data')
    with np.load(path, allow_pickle=False) as file:
        scores = torch.from_numpy(file['scores'].astype(np.float32))
        labels = [frozenset(row[row >= 0].tolist()) for row in file['labels']]
        videos = zip(file['filenames'].tolist(), scores.unbind(), labels, strict=True)
        return [(name, Scores(clips, of_video)) for name, clips, of_video in videos]


def read_pickle(path: Path) -> list[tuple[str, Scores]]:
    """Read a pickle of MMEngine's DumpResults."""
    return [
        (sample['filename'], Scores(clip_probabilities(sample), labels_of(sample)))
        for sample in load_pickle_as_data(path)
    ]


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
        count: accuracy({video: select_clips(scores, count) for video, scores in test.items()})
        for count in counts
    }


def select_clips(scores: Scores, count: int) -> Scores:
    """Scores of evenly spread clips of a video; a single one is the middle one."""
    last = len(scores.clips) - 1
    chosen = [i * last // (count - 1) for i in range(count)] if count > 1 else [last // 2]
    return scores._replace(clips=scores.clips[chosen])


def check_same_videos(tests: Mapping[Path, Mapping[str, Scores]]) -> None:
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
                    f'{video} has labels {sorted(labels)} in {first} and '
                    f'{sorted(theirs[video].labels)} in {other}'
                )
            if clips.shape != theirs[video].clips.shape:
                raise InputError(
                    f'{video} has {" x ".join(map(str, clips.shape))} clips x classes in {first} '
                    f'and {" x ".join(map(str, theirs[video].clips.shape))} in {other}'
                )


def fuse(tests: Sequence[Mapping[str, Scores]], weights: Sequence[float]) -> dict[str, Scores]:
    """Average the scores of tests of the same videos.

    Args:
        tests (Sequence[Mapping[str, Scores]]): The tests.
        weights (Sequence[float]): A weight for each, of which only the ratios matter.

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


def sweep_weights(
    first: Mapping[str, Scores], second: Mapping[str, Scores], steps: int = 20
) -> dict[float, dict[str, float]]:
    """Accuracy by the weight of the second test, from 0 to 1."""
    shares = [i / steps for i in range(steps + 1)]
    return {share: accuracy(fuse([first, second], [1 - share, share])) for share in shares}

"""Write and read the scores of tests."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from torch import Tensor

from .._atomic import atomic_write, check_writable
from .._errors import InputError
from .._registries import METRICS
from ..weights.pickles import load_pickle_as_data
from .clip_video_accuracy import accuracies, clip_probabilities, hits, labels_of
from .metric import check_finite

COUNTS = (1, 2, 5, 10, 20, 50, 100)
"""Numbers of clips for which accuracy is shown."""


class Scores(NamedTuple):
    """Scores of a video's clips, clips x classes, and its labels."""

    clips: Tensor
    labels: frozenset[int]


@METRICS.register_module()
class DumpScores(BaseMetric):
    """Write the scores of a test to an ``.npz`` file.

    The file has ``filenames`` (V), ``scores`` (V x clips x classes float32), ``labels`` (V x most
    labels per video, padded with -1) and, if known, the class names ``classes``. For numbers, it
    has ``targets`` (V x numbers) instead of ``labels``.

    Args:
        out_file_path (str): Path of the file, ending in ``.npz``.
        **kwargs (Any): Arguments of MMEngine's BaseMetric.

    Raises:
        InputError: Before the test, if the file cannot be written; later, if a video has no
            filename, or scores that are not finite.
    """

    default_prefix = ''

    def __init__(self, out_file_path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = Path(out_file_path)
        if self.path.suffix != '.npz':
            raise InputError(f'{self.path}: scores are stored in .npz files: name one')
        if is_main_process():
            check_writable(self.path)

    def process(self, data_batch: object, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the scores of one batch of videos."""
        for sample in data_samples:
            if 'filename' not in sample:
                raise InputError(
                    f"{self.path}: scores are stored by video: add 'filename' to the meta_keys of "
                    'PackActionInputs'
                )
            clips = clip_probabilities(sample)
            check_finite(sample, [clips])
            if not is_mean_of_clips(sample):
                raise InputError(
                    f'{self.path}: scores are stored by clip, and this head does not average them: '
                    "set model.cls_head.average_clips='prob'"
                )
            self.check_shape(clips)
            given = sorted(labels_of(sample))
            if is_of_numbers(sample):
                given = sample['gt_label'].tolist()
            self.results.append((sample['filename'], clips.numpy(), given))

    def check_shape(self, clips: Tensor) -> None:
        """Raise an InputError, early in a test, if a video has another number of clips."""
        if self.results and self.results[0][1].shape != clips.shape:
            raise InputError(f'{self.path}: numbers of clips differ: name a .pkl file')

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Write the file; there are no metrics."""
        filenames, scores, given = zip(*results)
        if len({clips.shape for clips in scores}) > 1:
            raise InputError(f'{self.path}: numbers of clips differ: name a .pkl file')
        of_numbers = any(isinstance(value, float) for row in given for value in row)
        padded = np.full((len(given), max(map(len, given))), -1, float if of_numbers else int)
        for row, of_video in zip(padded, given):
            row[: len(of_video)] = of_video
        known: Any = {'targets' if of_numbers else 'labels': padded}
        names = (self.dataset_meta or {}).get('classes', ())
        if len(names) == scores[0].shape[1]:
            known['classes'] = names
        with atomic_write(self.path, parents=True) as partial:
            np.savez(partial, filenames=filenames, scores=np.stack(scores), **known)
        return {}


class KeptScores(DumpScores):
    """Write the scores of a test for its report, if a report is possible.

    Samples without a filename, a label or scores are left out, and those whose score is not the
    mean of their clips'. If none remains, or videos have different numbers of clips, no file is
    written. Arguments are those of :class:`DumpScores`.
    """

    def process(self, data_batch: object, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the scores of one batch of videos."""
        needed = {'filename', 'gt_label', 'pred_score'}
        kept = [each for each in data_samples if needed <= set(each) and is_mean_of_clips(each)]
        super().process(data_batch, kept)

    def check_shape(self, clips: Tensor) -> None:
        """Accept any number of clips."""

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Write the file; there are no metrics."""
        if len({scores.shape for _, scores, _ in results}) == 1:
            super().compute_metrics(results)
        return {}


def is_mean_of_clips(sample: dict[str, Any]) -> bool:
    """Whether the score of a video is the mean of its clips' scores, if the sample has both."""
    score, clips = sample.get('pred_score'), sample.get('clip_scores')
    if score is None or clips is None or score.ndim == 2:
        return True
    mean = clips.float().mean(0)
    return torch.allclose(score.float(), mean, rtol=1e-3, atol=1e-5, equal_nan=True)


def is_of_numbers(sample: Any) -> bool:
    """Whether the scores of a sample are regressed numbers (:mod:`~r21d_plugin.models.tasks`)."""
    return bool(sample.get('task') == 'numbers')


def read_scores(path: Path) -> dict[str, Scores]:
    """Read the scores that ``mim test --dump`` wrote.

    The file is an ``.npz`` of :class:`DumpScores`, or a pickle of MMEngine's DumpResults, which is
    read without running code. Returns scores by the path of the video relative to the common folder
    of all videos, because two tests may use different folders. Raises an InputError if the file is
    invalid, or its scores are not finite.
    """
    if not path.is_file():
        raise InputError(f'{path}: no such file: write it with mim test --dump')
    try:
        read = read_npz if zipfile.is_zipfile(path) else read_pickle
        names, scores = zip(*read(path))
        folder = os.path.commonpath([os.path.dirname(name) for name in names])
        videos = [os.path.relpath(name, folder or '.') for name in names]
    except Exception as error:  # an invalid file can raise any exception
        raise InputError(
            f'{path}: not a dump of scores with the filename of each video ({error!r:.200}): write '
            "it with mim test --dump, and 'filename' in the meta_keys of PackActionInputs"
        ) from error
    found: dict[str, Scores] = {}
    for name, video, of_video in zip(names, videos, scores):
        if video in found:
            raise InputError(f'{path}: {name} is in it twice')
        if not of_video.clips.isfinite().all():
            raise InputError(f'{path}: the scores of {video} are not finite: did training diverge?')
        found[video] = of_video
    return found


def read_npz(path: Path) -> Iterator[tuple[str, Scores]]:
    """Read a file of :class:`DumpScores`; refuse compressed ones, which could expand a lot."""
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise ValueError('compressed data')
    with np.load(path, allow_pickle=False) as file:
        scores = torch.from_numpy(file['scores'].astype(np.float32))
        names, labels = file['filenames'].tolist(), file['labels']
    for name, clips, row in zip(names, scores.unbind(), labels):
        yield name, Scores(clips, frozenset(row[row >= 0].tolist()))


def read_pickle(path: Path) -> Iterator[tuple[str, Scores]]:
    """Read a pickle of MMEngine's DumpResults."""
    for sample in load_pickle_as_data(path):
        yield sample['filename'], Scores(clip_probabilities(sample), labels_of(sample))


def accuracy(test: Mapping[str, Scores]) -> dict[str, float]:
    """Compute clip@1, video@1 and video@5, 0 to 1; raise an InputError if a label is missing."""
    for video, (_, labels) in test.items():
        if not labels:
            raise InputError(f'{video}: no label: an accuracy needs a test of a list with labels')
    return accuracies([hits(clips, labels) for clips, labels in test.values()])


def accuracy_by_clips(
    test: Mapping[str, Scores], counts: Sequence[int] | None = None
) -> dict[int, dict[str, float]]:
    """Compute the accuracy with fewer clips per video, spread evenly over the tested clips.

    The numbers of clips default to those of ``COUNTS`` up to the number of tested clips. Raises an
    InputError if one is less than 1 or more than the clips of a video.
    """
    available = min(len(clips) for clips, _ in test.values())
    counts = counts or [count for count in COUNTS if count <= available]
    wrong = [count for count in counts if not 1 <= count <= available]
    if wrong:
        raise InputError(f'{wrong[0]} clips: the test has 1 to {available} clips per video')
    return {
        count: accuracy({video: select_clips(scores, count) for video, scores in test.items()})
        for count in counts
    }


def select_clips(scores: Scores, count: int) -> Scores:
    """Select the scores of evenly spread clips of a video; a single clip is the middle one."""
    last = len(scores.clips) - 1
    chosen = [i * last // (count - 1) for i in range(count)] if count > 1 else [last // 2]
    return scores._replace(clips=scores.clips[chosen])

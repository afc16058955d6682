"""Statistics of a test: classes, confusions, calibration and mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..scores import Scores

BINS = 10


class Outcomes(NamedTuple):
    """Predictions for V videos; arrays of length V."""

    true: np.ndarray  # class: with several labels, the predicted one, else the first
    given: np.ndarray  # predicted class, with the highest mean score over clips
    score: np.ndarray  # of the predicted class, 0 to 1

    @property
    def right(self) -> np.ndarray:
        """Whether each prediction is correct."""
        right: np.ndarray = self.true == self.given
        return right


class Calibration(NamedTuple):
    """Mean scores and accuracies; arrays over the non-empty bins of the score."""

    score: np.ndarray
    accuracy: np.ndarray
    videos: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1: mean distance of score and accuracy."""
        return float(np.average(abs(self.score - self.accuracy), weights=self.videos))


class ClassRow(NamedTuple):
    """Statistics of a class; undefined ratios are NaN."""

    name: str
    videos: int
    precision: float
    recall: float
    f1: float


class Confusion(NamedTuple):
    """Number of videos of one class that were predicted as another class."""

    true: str
    given: str
    videos: int
    share: float


def outcomes(test: Mapping[str, Scores]) -> Outcomes:
    """Collect the predictions of a test."""
    means = np.stack([clips.mean(dim=0).numpy() for clips, _ in test.values()])
    given = means.argmax(1)
    labels = (scores.labels for scores in test.values())
    true = np.array([best if best in each else min(each) for best, each in zip(given, labels)])
    return Outcomes(true, given, means.max(1))


def confusion_matrix(found: Outcomes, classes: int) -> np.ndarray:
    """Count videos by true (rows) and predicted class (columns), classes x classes."""
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (found.true, found.given), 1)
    return matrix


def class_rows(matrix: np.ndarray, names: Sequence[str]) -> list[ClassRow]:
    """List classes with videos or predictions, sorted by F1 (lowest first), then videos."""
    right, videos, given = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    with np.errstate(invalid='ignore'):
        columns = right / given, right / videos, 2 * right / (videos + given)
    rows = map(ClassRow, names, videos.tolist(), *(column.tolist() for column in columns))
    return sorted((row for row in rows if row.f1 == row.f1), key=lambda row: (row.f1, -row.videos))


def confused_pairs(matrix: np.ndarray, names: Sequence[str], most: int) -> list[Confusion]:
    """List the pairs of classes that were confused most often."""
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind='stable')[:most]
    pairs = zip(*np.unravel_index(order, wrong.shape))
    return [
        Confusion(
            names[true],
            names[given],
            int(wrong[true, given]),
            float(wrong[true, given] / matrix[true].sum()),
        )
        for true, given in pairs
        if wrong[true, given]
    ]


def calibration(found: Outcomes) -> Calibration:
    """Compute mean score and accuracy of videos in score bins of equal width."""
    means, _, _ = stats.binned_statistic(
        found.score, [found.score, found.right], bins=BINS, range=(0, 1)
    )
    count, _ = np.histogram(found.score, BINS, (0, 1))
    used = count > 0
    return Calibration(means[0, used], means[1, used], count[used])


def worst_mistakes(found: Outcomes, most: int) -> list[int]:
    """Return the indices of the misclassified videos with the highest scores, highest first."""
    wrong = np.flatnonzero(~found.right)
    numbers: list[int] = wrong[np.argsort(-found.score[wrong], kind='stable')][:most].tolist()
    return numbers

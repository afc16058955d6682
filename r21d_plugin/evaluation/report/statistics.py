"""Figures of a test: intervals, classes, confusions, calibration and mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..clip_video_accuracy import hits
from ..scores import Scores

RESAMPLES = 2000
BINS = 10


class Outcomes(NamedTuple):
    """What was given for each video; arrays of V.

    Attributes:
        true (np.ndarray): Its class: of several labels the one that was given, else the first.
        given (np.ndarray): The class of the highest mean score of its clips.
        score (np.ndarray): That score, 0 to 1.
    """

    true: np.ndarray
    given: np.ndarray
    score: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether the class that was given is right."""
        right: np.ndarray = self.true == self.given
        return right


class Interval(NamedTuple):
    """An accuracy, 0 to 1, and its 95% interval; None where all videos are equal."""

    value: float
    low: float | None
    high: float | None


class Calibration(NamedTuple):
    """Scores beside accuracy; arrays over the bins of the score that have videos."""

    score: np.ndarray
    accuracy: np.ndarray
    videos: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1: the mean distance of the two over all videos."""
        return float(np.average(abs(self.score - self.accuracy), weights=self.videos))


class ClassRow(NamedTuple):
    """A class of the test; figures that are a division by 0 are NaN."""

    name: str
    videos: int
    precision: float
    recall: float
    f1: float


class Confusion(NamedTuple):
    """How many videos of a class were given another one."""

    true: str
    given: str
    videos: int
    share: float


def outcomes(test: Mapping[str, Scores]) -> Outcomes:
    """What was given for each video of a test."""
    means = np.stack([clips.mean(dim=0).numpy() for clips, _ in test.values()])
    given = means.argmax(1)
    labels = (scores.labels for scores in test.values())
    true = np.array([best if best in each else min(each) for best, each in zip(given, labels)])
    return Outcomes(true, given, means.max(1))


def intervals(test: Mapping[str, Scores]) -> dict[str, Interval]:
    """clip@1, video@1 and video@5 with bootstrap intervals (percentiles) over videos.

    All videos have the same number of clips.
    """
    rows = []
    for clips, labels in test.values():
        count, right, top1, top5 = hits(clips, labels)
        rows.append((right / count, top1, top5))
    values = np.array(rows, np.float64)
    names = ('clip@1', 'video@1', 'video@5')
    return {name: interval(column) for name, column in zip(names, values.T)}


def interval(values: np.ndarray) -> Interval:
    """Mean of the values of videos, with its interval."""
    if np.ptp(values) == 0:
        return Interval(float(values[0]), None, None)
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, 10**7 // len(values)),
        method='percentile',
        random_state=0,
    ).confidence_interval
    return Interval(float(values.mean()), float(found.low), float(found.high))


def confusion_matrix(found: Outcomes, classes: int) -> np.ndarray:
    """Number of videos by true (rows) and given class, classes x classes."""
    matrix = np.zeros((classes, classes), int)
    np.add.at(matrix, (found.true, found.given), 1)
    return matrix


def class_rows(matrix: np.ndarray, names: Sequence[str]) -> list[ClassRow]:
    """Rows of the classes that have videos or were given, lowest F1 first, most videos first."""
    right, videos, given = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    with np.errstate(invalid='ignore'):
        columns = right / given, right / videos, 2 * right / (videos + given)
    rows = map(ClassRow, names, videos.tolist(), *(column.tolist() for column in columns))
    return sorted((row for row in rows if row.f1 == row.f1), key=lambda row: (row.f1, -row.videos))


def confused_pairs(matrix: np.ndarray, names: Sequence[str], most: int) -> list[Confusion]:
    """The pairs of classes that were confused most often."""
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
    """Mean score and accuracy of videos in bins of equal width of the score."""
    means, _, _ = stats.binned_statistic(
        found.score, [found.score, found.right], bins=BINS, range=(0, 1)
    )
    count, _ = np.histogram(found.score, BINS, (0, 1))
    used = count > 0
    return Calibration(means[0, used], means[1, used], count[used])


def worst_mistakes(found: Outcomes, most: int) -> list[int]:
    """Numbers of the wrong videos with the highest scores, these first."""
    wrong = np.flatnonzero(~found.right)
    numbers: list[int] = wrong[np.argsort(-found.score[wrong], kind='stable')][:most].tolist()
    return numbers

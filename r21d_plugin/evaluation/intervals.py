"""Accuracies of a test with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .._packages import missing_packages_named
from .clip_video_accuracy import hits
from .scores import Scores, accuracy

with missing_packages_named():
    from scipy import stats

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An accuracy and its confidence interval, 0 to 1."""

    value: float
    low: float
    high: float


def intervals(test: Mapping[str, Scores]) -> dict[str, Interval]:
    """Compute clip@1, video@1 and video@5 with 95% intervals, for randomly drawn videos.

    Video accuracies have Wilson intervals. Clips of a video are correlated, so clip accuracy has a
    bootstrap interval over videos, which is empty if all videos have the same value.
    """
    count, clip_hits, top1, top5 = np.transpose([hits(*scores) for scores in test.values()])
    bounds = {'clip@1': bootstrap(clip_hits / count)}
    for name, right in (('video@1', top1), ('video@5', top5)):
        result = stats.binomtest(int(right.sum()), len(right))
        bounds[name] = tuple(result.proportion_ci(CONFIDENCE, method='wilson'))
    return {k: Interval(v, *map(float, bounds[k])) for k, v in accuracy(test).items()}


def bootstrap(values: np.ndarray) -> tuple[float, float]:
    """Compute the bootstrap interval of a mean, by percentiles of 2,000 samples."""
    if np.ptp(values) == 0:  # SciPy refuses a single value
        return values[0], values[0]
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=2000,
        confidence_level=CONFIDENCE,
        method='percentile',
        batch=100,
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return found.low, found.high

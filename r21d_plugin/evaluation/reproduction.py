"""Compare the measured accuracy of public weights with the published one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from tabulate import tabulate

from .._errors import InputError
from .._packages import missing_packages_named
from ..weights import PublicWeights, Published
from .clip_video_accuracy import hits
from .results import ACCURACIES
from .scores import Scores, accuracy

with missing_packages_named():
    from scipy import stats

CONFIDENCE = 0.95


class Measured(NamedTuple):
    """An accuracy and its confidence interval, 0 to 1."""

    value: float
    low: float
    high: float

    def __contains__(self, published: object) -> bool:
        return isinstance(published, float) and self.low <= published <= self.high


def find_published(text: str) -> tuple[str, Published]:
    """Find public weights with a published accuracy by their name or by words of it.

    For example, ``torchvision_r2plus1d_18`` finds ``r2plus1d_18_torchvision_kinetics_16f``. Raises
    an InputError unless exactly one entry matches.
    """
    names = {weights.name.lower(): weights.value for weights in PublicWeights}
    tested = {
        name: row
        for name, row in names.items()
        if row.config and not row.metrics.keys().isdisjoint(ACCURACIES)
    }
    words = set(text.lower().split('_'))
    found = [name for name in tested if words <= set(name.split('_'))]
    if text.lower() in names:
        found = [name for name in found if name == text.lower()]
    if len(found) != 1:
        problem = f'{text}: {"several" if found else "no"} public weights with an accuracy'
        raise InputError(f'{problem}: choose from {", ".join(found or tested)}')
    return found[0], tested[found[0]]


def measure(test: Mapping[str, Scores]) -> dict[str, Measured]:
    """Compute accuracies of a test with 95% intervals, for randomly drawn videos.

    Video accuracies have Wilson intervals. Clips of a video are correlated, so clip accuracy has a
    bootstrap interval over videos.
    """
    values = accuracy(test)
    count, clip_hits, top1, top5 = np.transpose([hits(*scores) for scores in test.values()])
    intervals = {'clip@1': bootstrap(clip_hits / count)}
    for name, right in (('video@1', top1), ('video@5', top5)):
        result = stats.binomtest(int(right.sum()), len(right))
        intervals[name] = result.proportion_ci(CONFIDENCE, method='wilson')
    return {name: Measured(values[name], *map(float, intervals[name])) for name in ACCURACIES}


def bootstrap(values: np.ndarray) -> Any:
    """Compute the bootstrap interval of a mean."""
    result = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=CONFIDENCE,
        method='percentile',
        batch=100,
        random_state=np.random.default_rng(0),
    )
    return result.confidence_interval


def compare(measured: Mapping[str, Measured], published: Mapping[str, float]) -> str:
    """Format measured and published accuracies (per cent), and say which are in the interval."""
    rows, outside = [], []
    for name, found in measured.items():
        theirs = published.get(name)
        inside = ''
        if theirs is not None:
            inside = 'inside' if theirs / 100 in found else 'outside'
            outside += [name] * (inside == 'outside')
        interval = f'{found.low:.1%} to {found.high:.1%}'
        text = '' if theirs is None else f'{theirs:.1f}%'
        rows.append([name, f'{found.value:.1%}', interval, text, inside])
    header = ['', 'here', f'{CONFIDENCE:.0%} interval', 'published', '']
    verdict = 'The published accuracies are inside the intervals.'
    if outside:
        verdict = f'Published, but outside the interval: {", ".join(outside)}.'
    return f'{tabulate(rows, header, disable_numparse=True)}\n\n{verdict}'

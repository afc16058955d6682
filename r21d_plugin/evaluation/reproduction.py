"""Compare the measured accuracy of public weights with the published one."""

from __future__ import annotations

from collections.abc import Mapping

from tabulate import tabulate

from .._errors import InputError
from ..weights import PublicWeights, Published
from .intervals import CONFIDENCE, Interval
from .results import ACCURACIES


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


def compare(measured: Mapping[str, Interval], published: Mapping[str, float]) -> str:
    """Format measured and published accuracies (per cent), and say which are in the interval."""
    rows, outside = [], []
    for name, found in measured.items():
        theirs = published.get(name)
        inside = ''
        if theirs is not None:
            inside = 'inside' if found.low <= theirs / 100 <= found.high else 'outside'
            outside += [name] * (inside == 'outside')
        interval = f'{found.low:.1%} to {found.high:.1%}'
        text = '' if theirs is None else f'{theirs:.1f}%'
        rows.append([name, f'{found.value:.1%}', interval, text, inside])
    header = ['', 'here', f'{CONFIDENCE:.0%} interval', 'published', '']
    verdict = 'The published accuracies are inside the intervals.'
    if outside:
        verdict = f'Published, but outside the interval: {", ".join(outside)}.'
    return f'{tabulate(rows, header, disable_numparse=True)}\n\n{verdict}'

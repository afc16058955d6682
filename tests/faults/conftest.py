"""Count the faults that the tests in this folder inflict, and print the sums at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

KEY = 'fault'


@pytest.fixture
def fault(record_property) -> Callable[[str], AbstractContextManager]:
    """Counter of faults: each is inflicted in a block of its own.

    In ``with fault('kill -9'): ...`` a fault counts as survived if the block,
    which also checks the result, ends, and as lost if it raises, as a failing
    assertion does. The name is that of the kind of fault, a line of the summary.
    """

    @contextmanager
    def count(kind: str) -> Iterator[None]:
        survived = False
        try:
            yield
            survived = True
        finally:
            record_property(KEY, (kind, survived))

    return count


def pytest_terminal_summary(terminalreporter) -> None:
    """Print how many faults were tried, survived and lost, by kind and in all."""
    tried, survived = Counter(), Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, 'when', None) == 'call':
                for key, value in report.user_properties:
                    if key == KEY:
                        kind, well = value
                        tried[kind] += 1
                        survived[kind] += well
    if tried:
        terminalreporter.section('faults')
        for kind in sorted(tried):
            terminalreporter.write_line(format_count(kind, tried[kind], survived[kind]))
        terminalreporter.write_line(format_count('all', tried.total(), survived.total()))


def format_count(kind: str, tried: int, survived: int) -> str:
    """A line of the summary."""
    return f'{kind}: {tried} tried, {survived} survived, {tried - survived} lost'

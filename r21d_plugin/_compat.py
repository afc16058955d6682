"""Compatibility with older Python versions."""

from __future__ import annotations

import os
import sys

if sys.version_info >= (3, 10):
    from itertools import pairwise
else:
    from collections.abc import Iterable, Iterator
    from itertools import tee
    from typing import TypeVar

    T = TypeVar('T')

    def pairwise(iterable: Iterable[T]) -> Iterator[tuple[T, T]]:
        """Yield each item with the next one."""
        first, second = tee(iterable)
        next(second, None)
        return zip(first, second)


def process_cpu_count() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


__all__ = ['pairwise', 'process_cpu_count']

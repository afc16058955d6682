"""Compatibility with older Python versions."""

from __future__ import annotations

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


__all__ = ['pairwise']

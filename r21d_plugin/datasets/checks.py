"""Checks of the arguments of transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

from .._errors import InputError


def check_scale(scale: Sequence[float]) -> None:
    """Raise an InputError if ``scale`` is neither width and height nor a shorter side."""
    is_pair = isinstance(scale, Sequence) and not isinstance(scale, str) and len(scale) == 2
    numbers = is_pair and all(isinstance(side, Real) for side in scale)
    sides = given_sides(scale) if numbers else []
    if not sides or any(side < 1 or side % 1 for side in sides):
        form = 'give width and height in pixels, or -1 and the shorter side'
        raise InputError(f'scale={scale!r}: {form}')


def check_rate(name: str, value: object) -> None:
    """Raise an InputError if a rate is not a finite number above 0."""
    if isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf:
        return
    raise InputError(f'{name}={value!r}: use a number of frames a second above 0')


def shorter_side(scale: Sequence[float]) -> int | None:
    """Return the shorter side if the aspect ratio is kept; None if ``scale`` is width and height.

    MMAction2's notations are ``(-1, 128)``, ``(128, -1)``, and ``np.inf`` instead of -1.
    """
    sides = given_sides(scale)
    return int(sides[0]) if len(sides) == 1 else None


def given_sides(scale: Sequence[float]) -> list[float]:
    """Return the sides that a scale gives in pixels."""
    return [side for side in scale if side not in (-1, math.inf)]

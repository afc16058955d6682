"""Plots of accuracies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .._atomic import atomic_write
from .._errors import InputError


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure atomically, in the format of its extension; raise an InputError on failure.

    An SVG of equal content has equal bytes.
    """
    kind = path.suffix[1:]
    dated = dict(Date=None) if kind == 'svg' else None
    with atomic_write(path) as partial, rc_context({'svg.hashsalt': path.name}):
        try:
            figure.savefig(partial, dpi=150, format=kind, metadata=dated)
        except ValueError as error:
            raise InputError(f'{path}: cannot write a picture there: {error}') from error


def plot_curve(curve: Mapping[Any, Mapping[str, float]], path: Path, varied: str) -> None:
    """Plot accuracies, 0 to 1, against the ``varied`` quantity, and mark the best per metric."""
    figure = Figure(figsize=(6, 4), layout='constrained')
    draw_curve(figure.subplots(), curve, varied)
    save_figure(figure, path)


def draw_curve(axes: Axes, curve: Mapping[Any, Mapping[str, float]], varied: str) -> None:
    """Draw the curves of :func:`plot_curve` into axes."""
    places = list(curve)
    for metric in curve[places[0]]:
        values = [100 * row[metric] for row in curve.values()]
        (line,) = axes.plot(places, values, label=metric)
        best = max(range(len(values)), key=values.__getitem__)
        axes.plot(places[best], values[best], 'o', color=line.get_color())
    axes.set_xlabel(varied)
    axes.set_ylabel('accuracy (%)')
    axes.grid(alpha=0.3)
    axes.legend()

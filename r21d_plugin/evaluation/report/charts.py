"""SVG charts of a report, drawn in the text colour of the page."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..curves import Curves
from ..plots import draw_curve
from .statistics import Calibration

INK = '#010203'  # placeholder for the text colour
STYLE: dict[Any, Any] = {
    'svg.fonttype': 'none',
    'text.parse_math': False,
    'font.size': 9,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.facecolor': 'none',
    'legend.frameon': False,
    **{f'{part}.color': INK for part in ('text', 'xtick', 'ytick', 'grid')},
    **{f'axes.{part}': INK for part in ('labelcolor', 'edgecolor', 'titlecolor')},
    'axes.prop_cycle': cycler(color=['#2f7fd0', '#e07b00', '#2e9e5b']),
}
NAMED_CLASSES = 30
"""Largest number of classes whose names a confusion matrix shows."""


class Chart:
    """A chart: its axes while it is drawn, and its SVG when it is finished."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.svg = Markup()


@contextmanager
def chart(name: str, size: tuple[float, float] = (4.4, 3)) -> Iterator[Chart]:
    """Context manager: a chart to draw, with a unique name in the page; size in inches."""
    with matplotlib.rc_context({**STYLE, 'svg.hashsalt': name}):
        figure = Figure(figsize=size, layout='constrained', facecolor='none')
        drawn = Chart(figure.subplots())
        yield drawn
        buffer = io.StringIO()
        figure.savefig(buffer, format='svg', metadata=dict(Date=None))
    text = buffer.getvalue()
    drawn.svg = Markup(text[text.index('<svg') :].replace(INK, 'currentColor'))


def training_chart(curves: Curves) -> Markup:
    """Draw training and validation error by epoch."""
    with chart('training') as drawn:
        for name, curve in curves._asdict().items():
            values = [100 * error for error in curve.values()]
            drawn.axes.plot(list(curve), values, marker='.', label=name)
        drawn.axes.set(xlabel='epoch', ylabel='top-1 error of clips (%)', ylim=(0, None))
        finish(drawn.axes)
    return drawn.svg


def loss_chart(losses: Mapping[int, float]) -> Markup:
    """Draw mean loss by epoch."""
    with chart('loss') as drawn:
        drawn.axes.plot(list(losses), list(losses.values()), marker='.', label='training loss')
        drawn.axes.set(xlabel='epoch', ylabel='loss')
        finish(drawn.axes)
    return drawn.svg


def finish(axes: Axes) -> None:
    """Add a grid, integer ticks on the x axis and, if lines have labels, a legend."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.15)
    if axes.get_legend_handles_labels()[1]:
        axes.legend()


def clips_chart(curve: Mapping[int, Mapping[str, float]]) -> Markup:
    """Draw accuracy by the number of clips per video."""
    with chart('clips') as drawn:
        draw_curve(drawn.axes, curve, 'clips of a video')
        finish(drawn.axes)
    return drawn.svg


def calibration_chart(found: Calibration) -> Markup:
    """Draw accuracy by score; the area of a dot is its fraction of the videos."""
    with chart('calibration') as drawn:
        drawn.axes.plot([0, 100], [0, 100], color=INK, linestyle=':', label='score = accuracy')
        area = 20 + 300 * found.videos / found.videos.sum()
        drawn.axes.scatter(100 * found.score, 100 * found.accuracy, area, alpha=0.7)
        drawn.axes.plot(100 * found.score, 100 * found.accuracy, label='videos, by score')
        limits = (-4, 104)
        drawn.axes.set(
            xlabel='score of the class given (%)', ylabel='accuracy (%)', xlim=limits, ylim=limits
        )
        finish(drawn.axes)
    return drawn.svg


def confusion_chart(matrix: np.ndarray, names: Sequence[str]) -> Markup:
    """Draw the fractions of each class's videos (row) by predicted class (column)."""
    with np.errstate(invalid='ignore'):
        share = 100 * matrix / matrix.sum(1, keepdims=True)
    named = len(names) <= NAMED_CLASSES
    side = 3.2 + 0.18 * len(names) if named else 8
    with chart('confusion', (side + 0.6, side)) as drawn:
        # Cells without videos are transparent.
        shown = np.ma.masked_equal(np.nan_to_num(share), 0)
        image = drawn.axes.imshow(shown, cmap='cool', vmin=0, vmax=100, interpolation='none')
        drawn.axes.figure.colorbar(image, shrink=0.7, label='% of the videos of the class')
        drawn.axes.set(xlabel='class given', ylabel='true class')
        if named:
            drawn.axes.set_xticks(range(len(names)), names, rotation=90)
            drawn.axes.set_yticks(range(len(names)), names)
    return drawn.svg


def scores_chart(name: str, clips: np.ndarray, classes: Sequence[int]) -> Markup:
    """Draw scores of some classes by clip of a video (clips x all classes)."""
    with chart(name, (3, 1.4)) as drawn:
        drawn.axes.plot(range(1, len(clips) + 1), 100 * clips[:, classes], marker='.')
        drawn.axes.set(xlabel='clip', ylabel='score (%)', ylim=(-4, 104))
        finish(drawn.axes)
    return drawn.svg

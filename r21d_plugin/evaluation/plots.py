"""Plots of accuracies and of training curves (Figure 3)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from .._atomic import atomic_write
from .._errors import InputError
from .training_curves import Curves

STYLES: dict[str, dict[str, Any]] = dict(
    training=dict(linewidth=1, linestyle='--', marker='.', markersize=4),
    validation=dict(linewidth=2, linestyle='-', marker='o', markersize=4),
)
"""Lines of the two errors; the markers show a run of one epoch."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure atomically, in the format that the file's extension names.

    Raises:
        InputError: If it cannot be written.
    """
    with atomic_write(path) as partial:
        try:
            figure.savefig(partial, dpi=150, format=path.suffix[1:])
        except ValueError as error:
            raise InputError(f'{path}: cannot write a picture there: {error}') from error


def plot_curve(curve: Mapping[Any, Mapping[str, float]], path: Path, varied: str) -> None:
    """Plot accuracies against something that was varied, and mark the best of each metric.

    Args:
        curve (Mapping[Any, Mapping[str, float]]): Accuracies, 0 to 1, by what was varied.
        path (Path): Picture to write.
        varied (str): What was varied.

    Raises:
        InputError: If it cannot be written.
    """
    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    places = list(curve)
    for metric in next(iter(curve.values())):
        values = [100 * row[metric] for row in curve.values()]
        (line,) = axes.plot(places, values, label=metric)
        best = max(range(len(values)), key=values.__getitem__)
        axes.plot(places[best], values[best], 'o', color=line.get_color())
    axes.set_xlabel(varied)
    axes.set_ylabel('accuracy (%)')
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, path)


def plot_training_curves(runs: Mapping[str, Curves], path: Path) -> None:
    """Plot the errors of runs by name: a colour each, training dashed, validation solid.

    Raises:
        InputError: If the picture cannot be written.
    """
    figure = Figure(figsize=(9, 5), layout='constrained')
    axes = figure.subplots()
    handles = [Line2D([], [], color='black', label=name, **STYLES[name]) for name in STYLES]
    colours = matplotlib.colormaps['tab10'](range(10))
    if len(runs) > len(colours):
        colours = matplotlib.colormaps['turbo'](np.linspace(0, 1, len(runs)))
    for (name, curves), colour in zip(runs.items(), colours, strict=False):
        handles.append(Line2D([], [], color=colour, linewidth=4, label=name))
        for split, curve in curves._asdict().items():
            errors = [100 * error for error in curve.values()]
            axes.plot(list(curve), errors, color=colour, **STYLES[split])
    axes.set_xlabel('epoch')
    axes.set_ylabel('top-1 error of clips (%)')
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(handles=handles, loc='outside right upper', frameon=False)
    save_figure(figure, path)

"""Training and validation error against epochs, of one run or several (Figure 3)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..evaluation.training_curves import Curves
from .figures import save_figure

STYLES: dict[str, dict[str, Any]] = dict(
    training=dict(linewidth=1, linestyle='--', marker='.', markersize=4),
    validation=dict(linewidth=2, linestyle='-', marker='o', markersize=4),
)
"""Lines of the two errors; the markers show a run of one epoch."""


def plot_training_curves(runs: Mapping[str, Curves], path: Path) -> None:
    """Plot the errors of runs: a colour each, training dashed, validation solid.

    Args:
        runs (Mapping[str, Curves]): Errors by name of the run.
        path (Path): Picture to write.

    Raises:
        InputError: If it cannot be written.
    """
    figure = Figure(figsize=(9, 5), layout='constrained')
    axes = figure.subplots()
    handles = [Line2D([], [], color='black', label=name, **STYLES[name]) for name in STYLES]
    for (name, curves), colour in zip(runs.items(), colours(len(runs)), strict=True):
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


def colours(count: int) -> np.ndarray:
    """Colours that are told apart, a row of RGBA each."""
    if count <= 10:
        return matplotlib.colormaps['tab10'](range(count))
    return matplotlib.colormaps['turbo'](np.linspace(0, 1, count))

"""Plots of accuracy against something that was varied."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .figures import save_figure


def plot_curve(curve: Mapping[Any, Mapping[str, float]], path: Path, varied: str) -> None:
    """Plot accuracies and mark the best of each metric.

    Args:
        curve (Mapping[Any, Mapping[str, float]]): Accuracies, 0 to 1, by what
            was varied.
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

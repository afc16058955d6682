"""Plot of accuracy against the weight of a stream."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from ..errors import InputError


def plot_sweep(curve: Mapping[float, Mapping[str, float]], path: Path) -> None:
    """Plot a sweep of weights and mark the best of each metric.

    Args:
        curve (Mapping[float, Mapping[str, float]]): Accuracies, 0 to 1, by the
            weight of flow.
        path (Path): Picture to write.

    Raises:
        InputError: If it cannot be written.
    """
    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    weights = list(curve)
    for metric in next(iter(curve.values())):
        values = [100 * row[metric] for row in curve.values()]
        (line,) = axes.plot(weights, values, label=metric)
        best = max(range(len(values)), key=values.__getitem__)
        axes.plot(weights[best], values[best], 'o', color=line.get_color())
    axes.set_xlabel('weight of flow (0: RGB alone, 1: flow alone)')
    axes.set_ylabel('accuracy (%)')
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: cannot write a picture there: {error}') from error

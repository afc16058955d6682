"""Draw Figures 3, 4, 5a and 5b of the paper from the results of the study."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from r21d_plugin.evaluation.plots import save_figure

from .results import Results, Values


def plot_errors(results: Mapping[str, Results], path: Path) -> None:
    """Draw Figure 3: errors of R3D and R(2+1)D by epoch; thin: training, thick: testing."""
    figure = Figure(figsize=(9, 4), layout='constrained')
    for axes, depth in zip(figure.subplots(1, 2, sharey=True), (18, 34)):
        for name, label, colour in (('r3d', 'R3D', 'C0'), ('r2plus1d', 'R(2+1)D', 'C3')):
            curves = results[f'{name}_{depth}_8f'].curves
            training = mean_curve([c.training for c in curves])
            testing = mean_curve([c.validation for c in curves])
            axes.plot(*training, color=colour, linewidth=1, label=f'{label} training')
            axes.plot(*testing, color=colour, linewidth=2.5, label=f'{label} testing')
        axes.set_title(f'{depth} layers')
        axes.set_xlabel('epoch')
        axes.grid(alpha=0.3)
        axes.legend()
        axes.set_ylabel('error of clips (%)')
    save_figure(figure, path)


def mean_curve(curves: Sequence[Mapping[int, float]]) -> tuple[list[int], list[float]]:
    """Return epochs, and the mean of several errors at each epoch, in per cent."""
    epochs = list(curves[0])
    return epochs, [100 * sum(c[epoch] for c in curves) / len(curves) for epoch in epochs]


def plot_cost(points: Mapping[str, tuple[float, Values]], path: Path) -> None:
    """Draw Figure 4: video@1 against multiply-adds.

    Args:
        points (Mapping): GFLOPs and accuracy by network.
        path (Path): Image to write.
    """
    figure = Figure(figsize=(7, 5), layout='constrained')
    axes = figure.subplots()
    for name, (gflops, accuracy) in points.items():
        point = axes.errorbar(gflops, *in_percent([accuracy]), fmt='o', capsize=3)
        axes.annotate(
            name,
            (gflops, 100 * accuracy.mean),
            xytext=(6, 4),
            textcoords='offset points',
            color=point[0].get_color(),
        )
    axes.set_xlabel('GFLOPs of a clip (multiply-adds)')
    axes.set_ylabel('video@1 (%)')
    axes.margins(x=0.12)
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def plot_lengths(curves: Mapping[str, Mapping[int, Values]], path: Path) -> None:
    """Draw Figure 5a: accuracies against frames per clip, by metric."""
    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    for metric, curve in curves.items():
        axes.errorbar(list(curve), *in_percent(curve.values()), fmt='o-', capsize=3, label=metric)
    finish(axes, 'frames of a clip', list(next(iter(curves.values()))))
    save_figure(figure, path)


def plot_clips(curve: Mapping[int, Values], path: Path) -> None:
    """Draw Figure 5b: video@1 against clips per video."""
    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    axes.errorbar(list(curve), *in_percent(curve.values()), fmt='o-', capsize=3, label='video@1')
    axes.set_xscale('log')
    axes.minorticks_off()
    finish(axes, 'clips of a video', list(curve))
    save_figure(figure, path)


def in_percent(values: Collection[Values]) -> tuple[list[float], list[float]]:
    """Return means and spreads in per cent."""
    return [100 * v.mean for v in values], [100 * v.spread for v in values]


def finish(axes: Axes, varied: str, ticks: list[int]) -> None:
    """Label the axes of accuracies against the ``varied`` quantity."""
    axes.set_xlabel(varied)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylabel('accuracy (%)')
    axes.grid(alpha=0.3)
    axes.legend()

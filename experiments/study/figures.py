"""Draw Figures 3, 4 and 5b of the paper from the results of the study, with 95% intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from r21d_plugin.evaluation.plots import save_figure

from .claims import Mean, Results, accuracy
from .plan import SHORT_CLIP
from .training import EPOCHS


def plot_errors(results: Results, path: Path) -> None:
    """Draw Figure 3: training error of R3D and R(2+1)D, and testing error at the end."""
    depths = [depth for depth in (18, 34) if f'r3d_{depth}_{SHORT_CLIP}f' in results]
    figure = Figure(figsize=(5 * len(depths), 4), layout='constrained')
    for axes, depth in zip(figure.subplots(1, len(depths), squeeze=False)[0], depths):
        for name, label, colour in (('r3d', 'R3D', 'C0'), ('r2plus1d', 'R(2+1)D', 'C3')):
            found = results[f'{name}_{depth}_{SHORT_CLIP}f']
            curve = list(zip(*(result.errors for result in found)))
            done = [100 * (i + 1) / EPOCHS for i in range(len(curve))]
            draw_curve(axes, done, curve, f'{label} training', colour)
            testing = Mean.of([1 - clip for clip in accuracy(results, f'{name}_{depth}', 'clip@1')])
            axes.errorbar(
                100,
                *in_percent(testing),
                fmt='o',
                color=colour,
                capsize=3,
                label=f'{label} testing, at the end',
            )
        axes.set_title(f'{depth} layers')
        axes.set_xlabel('part of the training (%)')
        axes.set_ylabel('error of clips (%)')
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, path)


def draw_curve(
    axes: Axes, x: Sequence[float], rows: Sequence[Sequence[float]], label: str, colour: str
) -> None:
    """Draw means over seeds as a line and their intervals as a band."""
    means = [in_percent(Mean.of(row)) for row in rows]
    axes.plot(x, [mean for mean, _ in means], color=colour, label=label)
    low, high = [mean - half for mean, half in means], [mean + half for mean, half in means]
    axes.fill_between(x, low, high, color=colour, alpha=0.2)


def plot_cost(points: Mapping[str, tuple[float, Mean]], path: Path) -> None:
    """Draw Figure 4: video@1 against multiply-adds.

    Args:
        points (Mapping): GFLOPs and accuracy by network.
        path (Path): Image to write.
    """
    figure = Figure(figsize=(7, 5), layout='constrained')
    axes = figure.subplots()
    for name, (gflops, found) in points.items():
        point = axes.errorbar(gflops, *in_percent(found), fmt='o', capsize=3)
        axes.annotate(
            name,
            (gflops, 100 * found.mean),
            xytext=(6, 4),
            textcoords='offset points',
            color=point[0].get_color(),
        )
    axes.set_xlabel('GFLOPs of a clip (multiply-adds)')
    axes.set_ylabel('video@1 (%)')
    axes.margins(x=0.15)
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def plot_clips(curve: Mapping[str, Mean], path: Path) -> None:
    """Draw Figure 5b: video@1 against clips per video."""
    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.subplots()
    counts = [int(count) for count in curve]
    means = [100 * found.mean for found in curve.values()]
    halves = [100 * found.half for found in curve.values()]
    axes.errorbar(counts, means, halves, fmt='o-', capsize=3)
    axes.set_xscale('log')
    axes.minorticks_off()
    axes.set_xlabel('clips of a video')
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_ylabel('video@1 (%)')
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def in_percent(found: Mean) -> tuple[float, float]:
    """Return a mean and half of its interval in per cent."""
    return 100 * found.mean, 100 * found.half

"""Plot training and validation error against epochs (Figure 3) from the logs of runs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator
    from tabulate import tabulate

    from r21d_plugin.evaluation.curves import Curves, read_curves
    from r21d_plugin.evaluation.plots import save_figure

STYLES: dict[str, dict[str, Any]] = dict(
    training=dict(linewidth=1, linestyle='--', marker='.', markersize=4),
    validation=dict(linewidth=2, linestyle='-', marker='o', markersize=4),
)
"""Lines of the two errors; the markers show a run of one epoch."""


def read_runs(work_dirs: Sequence[Path]) -> dict[str, Curves]:
    """Read the errors of several runs, by path relative to their common folder."""
    paths = [path.resolve() for path in work_dirs]
    folder = os.path.commonpath([path.parent for path in paths])
    return {
        os.path.relpath(path, folder): read_curves(given) for path, given in zip(paths, work_dirs)
    }


def last_errors_table(runs: Mapping[str, Curves]) -> str:
    """Format the last errors of runs, by name, as a table of percentages."""
    rows = [
        [
            name,
            max([*curves.training, *curves.validation]),
            *(f'{curve[max(curve)]:.1%}' if curve else '-' for curve in curves),
        ]
        for name, curves in runs.items()
    ]
    header = ['run', 'epochs', 'training error', 'validation error']
    align = ('left', 'right', 'right', 'right')
    return tabulate(rows, header, colalign=align, disable_numparse=True)


def plot_training_curves(runs: Mapping[str, Curves], path: Path) -> None:
    """Plot the errors of runs by name, one colour each: training dashed, validation solid.

    Raises:
        InputError: If the image cannot be written.
    """
    figure = Figure(figsize=(9, 5), layout='constrained')
    axes = figure.subplots()
    handles = [Line2D([], [], color='black', label=name, **STYLES[name]) for name in STYLES]
    colours = matplotlib.colormaps['tab10'](range(10))
    if len(runs) > len(colours):
        colours = matplotlib.colormaps['turbo'](np.linspace(0, 1, len(runs)))
    for (name, curves), colour in zip(runs.items(), colours):
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


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path, help='work dirs of mim train')
    parser.add_argument('--out', type=Path, required=True, metavar='PNG', help='image to write')
    return parser.parse_args()


def main() -> None:
    """Print the last errors and plot all errors."""
    args = parse_args()
    with errors_in_one_line():
        runs = read_runs(args.work_dirs)
        plot_training_curves(runs, args.out)
    print(last_errors_table(runs))
    print(f'\n{args.out}')


if __name__ == '__main__':
    main()

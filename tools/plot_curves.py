"""Plot training and validation error against epochs (Figure 3) from the logs of runs."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from r21d_plugin import InputError
from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    import matplotlib
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator
    from tabulate import tabulate

    from r21d_plugin.evaluation.plots import save_figure

STYLES: dict[str, dict[str, Any]] = dict(
    training=dict(linewidth=1, linestyle='--', marker='.', markersize=4),
    validation=dict(linewidth=2, linestyle='-', marker='o', markersize=4),
)
"""Lines of the two errors; the markers show a run of one epoch."""


class Curves(NamedTuple):
    """Errors of a run, 1 - clip@1, by epoch in ascending order.

    Attributes:
        training (dict[int, float]): Mean over all batches of the epoch, 0 to 1.
        validation (dict[int, float]): Of the validation after it, 0 to 1.
    """

    training: dict[int, float]
    validation: dict[int, float]


def read_runs(work_dirs: Sequence[Path]) -> dict[str, Curves]:
    """Read the errors of several runs, by their path below the folder that all are in."""
    paths = [path.resolve() for path in work_dirs]
    folder = os.path.commonpath([path.parent for path in paths])
    return {
        os.path.relpath(path, folder): read_curves(given) for path, given in zip(paths, work_dirs)
    }


def read_curves(work_dir: Path) -> Curves:
    """Read the errors of a run that may have been stopped and resumed.

    The epochs of a later start take the place of those of an earlier one from its first finished
    epoch on. A curve is empty where the log has none: validation with ``--no-validate``, training
    without :class:`~r21d_plugin.engine.TrainingAccuracyHook`.

    Args:
        work_dir (Path): Work dir of the run.

    Raises:
        InputError: If it has no log of a finished epoch, or one is damaged.
    """
    curves = Curves({}, {})
    for path in find_logs(work_dir):
        start = extract_curves(read_log(path))
        first = min(start.training or start.validation, default=inf)
        curves = Curves(
            *(
                {**{epoch: error for epoch, error in curve.items() if epoch < first}, **later}
                for curve, later in zip(curves, start)
            )
        )
    if not any(curves):
        raise InputError(
            f'{work_dir}: no finished epoch in */vis_data/scalars.json there: '
            'name the work dir of a run of mim train'
        )
    return curves


def find_logs(work_dir: Path) -> list[Path]:
    """Logs of the starts of a run, in their order."""
    return sorted(work_dir.glob('*/vis_data/scalars.json'))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a log of MMEngine's, an object a line; a kill may have cut off the last.

    Raises:
        InputError: If another line is broken.
    """
    lines = path.read_text('utf-8', 'replace').splitlines()
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise InputError(
                    f'{path}, line {number}: not JSON: remove the line, or restore the file'
                ) from error
    return records


def extract_curves(records: Iterable[Mapping[str, Any]]) -> Curves:
    """Errors in the log of one start; the step is the epoch, 0 for a validation by itself."""
    curves = Curves({}, {})
    for record in records:
        for curve, metric in zip(curves, ('train/clip@1', 'clip@1')):
            if metric in record and record['step'] > 0:
                curve[record['step']] = 1 - record[metric]
    return curves


def last_errors_table(runs: Mapping[str, Curves]) -> str:
    """Lay out the last errors of runs, by name, as a table of percentages."""
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
    parser.add_argument('--out', type=Path, required=True, metavar='PNG', help='picture to write')
    return parser.parse_args()


def main() -> None:
    """Print the last errors and plot all."""
    args = parse_args()
    with errors_in_one_line():
        runs = read_runs(args.work_dirs)
        plot_training_curves(runs, args.out)
    print(last_errors_table(runs))
    print(f'\n{args.out}')


if __name__ == '__main__':
    main()

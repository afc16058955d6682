"""Read accuracies of finished tests from work dirs and format them as tables."""

from __future__ import annotations

import json
from pathlib import Path

from tabulate import tabulate

from .._errors import InputError

ACCURACIES = ('clip@1', 'video@1', 'video@5')


def last_test(work_dir: Path) -> dict[str, float]:
    """Read the accuracies of the last test in a work dir, 0 to 1; raise an InputError if none.

    Accuracies of two streams are named ``rgb/clip@1`` and so on.
    """
    # MMEngine writes <time>/<time>.json, so names sort by time.
    for path in sorted(work_dir.glob('*/*.json'), reverse=True):
        if path.stem != path.parent.name:
            continue
        content = read_metrics(path)
        if set(ACCURACIES) <= set(content):
            return {k: v for k, v in content.items() if k.rpartition('/')[2] in ACCURACIES}
    raise InputError(f'{work_dir}: no finished test there: run mim test with this --work-dir')


def read_metrics(path: Path) -> dict[str, float]:
    """Read the file of metrics that MMEngine writes in a test.

    Every rank writes this file, so the end of a longer object may follow the first one. Raises an
    InputError if it is damaged.
    """
    try:
        content: dict[str, float] = json.JSONDecoder().raw_decode(path.read_text('utf-8'))[0]
    except ValueError as error:
        raise InputError(f'{path}: not JSON: run the test again') from error
    return content


def group_by_stream(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """Group the accuracies of a test by stream; ``''`` is the fused or only stream."""
    streams: dict[str, dict[str, float]] = {'': {}}
    for key, value in metrics.items():
        stream, _, metric = key.rpartition('/')
        streams.setdefault(stream, {})[metric] = value
    return streams


def accuracy_table(rows: dict[str, dict[str, float]], name: str) -> str:
    """Format accuracies, 0 to 1, as a table of percentages; ``name`` heads the first column."""
    cells = [
        [row, *(f'{values[metric]:.1%}' for metric in ACCURACIES)] for row, values in rows.items()
    ]
    align = ('left', 'right', 'right', 'right')
    return tabulate(cells, [name, *ACCURACIES], colalign=align, disable_numparse=True)

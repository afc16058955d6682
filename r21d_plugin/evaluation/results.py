"""Accuracies of finished tests, read from work dirs and laid out as tables."""

import json
from pathlib import Path

from tabulate import tabulate

from .._errors import InputError

ACCURACIES = ('clip@1', 'video@1', 'video@5')


def group_by_stream(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """Accuracies of a test by stream; ``''`` is the fused or only one."""
    streams: dict[str, dict[str, float]] = {'': {}}
    for key, value in metrics.items():
        stream, _, metric = key.rpartition('/')
        streams.setdefault(stream, {})[metric] = value
    return streams


def accuracy_table(rows: dict[str, dict[str, float]], name: str) -> str:
    """Lay out accuracies, 0 to 1, as a table of percentages.

    Args:
        rows (dict[str, dict[str, float]]): clip@1, video@1 and video@5 by row.
        name (str): Header of the column of row names.
    """
    cells = [
        [row, *(f'{values[metric]:.1%}' for metric in ACCURACIES)] for row, values in rows.items()
    ]
    align = ('left', 'right', 'right', 'right')
    return tabulate(cells, [name, *ACCURACIES], colalign=align, disable_numparse=True)


def last_test(work_dir: Path) -> dict[str, float]:
    """Read the metrics of the last test in a work dir.

    MMEngine writes them to ``<time>/<time>.json``; the name sorts by time.

    Args:
        work_dir (Path): Work dir of the test.

    Returns:
        dict[str, float]: clip@1, video@1 and video@5, 0 to 1, and for two streams those of each,
        ``rgb/clip@1`` and so on.

    Raises:
        InputError: If there is none.
    """
    for path in sorted(work_dir.glob('*/*.json'), reverse=True):
        # Every rank writes this file: after the object may stand the end of a longer one.
        content, _ = json.JSONDecoder().raw_decode(path.read_text())
        if set(ACCURACIES) <= set(content):
            return {k: v for k, v in content.items() if k.rpartition('/')[2] in ACCURACIES}
    raise InputError(f'{work_dir}: no finished test there: run mim test with this --work-dir')

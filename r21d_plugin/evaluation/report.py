"""Reading back what finished tests measured, and laying it out."""

import json
from pathlib import Path

from tabulate import tabulate

from .._errors import InputError

METRICS = ('clip@1', 'video@1', 'video@5')


def by_stream(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """Sort the metrics of a test by stream, ``''`` being the fused or only one."""
    streams: dict[str, dict[str, float]] = {'': {}}
    for key, value in metrics.items():
        stream, _, metric = key.rpartition('/')
        streams.setdefault(stream, {})[metric] = value
    return streams


def table(rows: dict[str, dict[str, float]], name: str) -> str:
    """Lay out accuracies, 0 to 1, as a table of percentages.

    Args:
        rows (dict[str, dict[str, float]]): clip@1, video@1 and video@5 by row.
        name (str): What the rows are.
    """
    cells = [
        [row, *(f'{values[metric]:.1%}' for metric in METRICS)] for row, values in rows.items()
    ]
    align = ('left', 'right', 'right', 'right')
    return tabulate(cells, [name, *METRICS], colalign=align, disable_numparse=True)


def last_test(work_dir: Path) -> dict[str, float]:
    """Read the metrics of the last test in a work dir.

    MMEngine writes them to ``<time>/<time>.json``; the name sorts by time.

    Args:
        work_dir (Path): Work dir of the test.

    Returns:
        dict[str, float]: clip@1, video@1 and video@5, 0 to 1, and for two
        streams those of each, ``rgb/clip@1`` and so on.

    Raises:
        InputError: If there is none.
    """
    for path in sorted(work_dir.glob('*/*.json'), reverse=True):
        # MMEngine lets every rank write this file: the last one's object comes
        # first, behind it may stand the end of a longer one.
        content, _ = json.JSONDecoder().raw_decode(path.read_text())
        if set(METRICS) <= set(content):
            return {k: v for k, v in content.items() if k.rpartition('/')[2] in METRICS}
    raise InputError(f'{work_dir}: no finished test there: run mim test with this --work-dir')

"""Read training and validation errors by epoch from the logs of runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .._errors import InputError

T = TypeVar('T')


class Curves(NamedTuple):
    """Errors of a run (1 - clip@1), 0 to 1, by epoch in ascending order."""

    training: dict[int, float]  # mean over the batches of an epoch
    validation: dict[int, float]  # after an epoch


def read_curves(work_dir: Path) -> Curves:
    """Read the errors of a run that may have been interrupted and resumed.

    From the first finished epoch of a later start on, its epochs replace those of earlier starts. A
    curve is empty if the log has no values: validation with ``--no-validate``, and training without
    :class:`~r21d_plugin.engine.TrainingAccuracyHook`. Raises an InputError if there is no log of a
    finished epoch, or a log is damaged.
    """
    curves = Curves({}, {})
    for path in find_logs(work_dir):
        start = extract_curves(read_log(path))
        first = min(start.training or start.validation, default=inf)
        curves = Curves(*(until(first, curve, later) for curve, later in zip(curves, start)))
    if not any(curves):
        raise InputError(
            f'{work_dir}: no finished epoch in */vis_data/scalars.json there: '
            'name the work dir of a run of mim train'
        )
    return curves


def until(first: float, earlier: Mapping[int, T], later: Mapping[int, T]) -> dict[int, T]:
    """Join values of two starts by epoch: the earlier ones before an epoch, and the later ones."""
    return {**{epoch: value for epoch, value in earlier.items() if epoch < first}, **later}


def find_logs(work_dir: Path) -> list[Path]:
    """Find the logs of the starts of a run, in chronological order."""
    return sorted(work_dir.glob('*/vis_data/scalars.json'))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read an MMEngine log with one JSON object per line; the last line may be truncated.

    Raises an InputError if another line is damaged.
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
    """Extract errors from the log of one start; steps are epochs, 0 for a separate validation."""
    curves = Curves({}, {})
    for record in records:
        for curve, metric in zip(curves, ('train/clip@1', 'clip@1')):
            if metric in record and record['step'] > 0:
                curve[record['step']] = 1 - record[metric]
    return curves

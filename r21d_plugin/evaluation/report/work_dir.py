"""Read the results of a test, and of the training before it, from a work dir."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config

from ..._errors import InputError
from ..curves import Curves, find_logs, read_curves, read_log, until
from ..results import read_metrics
from ..scores import Scores, read_scores

ENVIRONMENT = re.compile(r'^    (\w[^:\n]*): (.+)$', re.MULTILINE)


class Speed(NamedTuple):
    """Mean speed of a test or training process."""

    name: str  # 'test' or 'training'
    clips: int  # per batch
    seconds: float  # per batch
    rate: float  # clips per second
    waiting: float  # fraction of the time spent waiting for data, 0 to 1


class FinishedTest(NamedTuple):
    """A finished test."""

    folder: Path  # of its log, <work dir>/<time>
    config: Path  # as it was run
    scores: dict[str, Scores]  # by video path relative to the common folder
    videos: list[Path]  # files, in the same order
    classes: list[str]  # names; empty if the test had none


def find_test(work_dir: Path) -> FinishedTest:
    """Read the last test with stored scores in a work dir.

    Raises an InputError if there is none, a file is missing or damaged, or a video has no label.
    """
    tests = sorted(work_dir.glob('*/vis_data'))
    found = [path for test in tests if (path := test.with_name('scores.npz')).is_file()]
    if not found:
        raise InputError(
            f'{work_dir}: no finished test with scores.npz there: run r21d test (or mim test '
            'r21d_plugin) with this --work-dir, on videos with classes; several labels and numbers '
            'have no report'
        )
    folder = found[-1].parent
    config = folder / 'vis_data/config.py'
    if not config.is_file():
        raise InputError(f'{config}: no such file: run the test again')
    scores = read_scores(found[-1])
    for video, (_, labels) in scores.items():
        if not labels:
            raise InputError(f'{found[-1]}: {video} has no label: a report needs all labels')
    with np.load(found[-1], allow_pickle=False) as file:
        videos = [Path(name) for name in file['filenames'].tolist()]
        classes = file['classes'].tolist() if 'classes' in file else []
    return FinishedTest(folder, config, scores, videos, classes)


def training_of(work_dir: Path) -> tuple[Curves, dict[int, float]]:
    """Return errors and mean losses by epoch of the training in a work dir, possibly empty."""
    try:
        curves = read_curves(work_dir)
    except InputError:  # ordered classes have no clip@1
        curves = Curves({}, {})
    losses: dict[int, list[float]] = {}
    for log in find_logs(work_dir):
        start: dict[int, list[float]] = {}
        for record in steps_of(read_log(log)):
            start.setdefault(record['epoch'], []).append(record['loss'])
        losses = until(min(start, default=inf), losses, start)
    return curves, {epoch: fmean(losses[epoch]) for epoch in sorted(losses)}


def steps_of(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Select the records of training steps."""
    return [record for record in records if {'loss', 'epoch', 'time'} <= set(record)]


def speed_of(test: FinishedTest, cfg: Config) -> list[Speed]:
    """Return the logged speeds of the test and of the training in its work dir."""
    rows = []
    log = test.folder / f'{test.folder.name}.json'
    if log.is_file():
        content = read_metrics(log)
        clips = len(next(iter(test.scores.values())).clips)
        rows.append(speed('test', [content], cfg['test_dataloader'].get('batch_size', 1) * clips))
    logs = find_logs(test.folder.parent)
    if records := steps_of(record for log in logs for record in read_log(log)):
        rows.append(speed('training', records, cfg['train_dataloader'].get('batch_size', 1)))
    return rows


def speed(name: str, records: Sequence[Mapping[str, float]], clips: int) -> Speed:
    """Compute the mean speed of batches with a number of clips."""
    seconds, waiting = (fmean(record[key] for record in records) for key in ('time', 'data_time'))
    return Speed(name, clips, seconds, clips / seconds, waiting / seconds)


def environment_of(test: FinishedTest) -> dict[str, str]:
    """Return the machine and versions that MMEngine logged for the test."""
    log = test.folder / f'{test.folder.name}.log'
    text = log.read_text('utf-8', 'replace') if log.is_file() else ''
    block = text.partition('System environment:')[2].partition('Runtime environment:')[0]
    rows = dict(ENVIRONMENT.findall(block))
    rows.pop('PyTorch compiling details', None)
    return rows

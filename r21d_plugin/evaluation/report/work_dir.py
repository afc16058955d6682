"""What a test of ours, and the training before it, left in a work dir."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config

from ..._errors import InputError
from ..curves import Curves, find_logs, read_curves, read_log
from ..scores import Scores, read_scores

ENVIRONMENT = re.compile(r'^    (\w[^:\n]*): (.+)$', re.MULTILINE)


class Speed(NamedTuple):
    """Mean speed of a process.

    Attributes:
        name (str): ``'test'`` or ``'training'``.
        clips (int): Clips of a batch.
        seconds (float): Of a batch.
        rate (float): Clips a second.
        waiting (float): Share of the time spent waiting for data, 0 to 1.
    """

    name: str
    clips: int
    seconds: float
    rate: float
    waiting: float


class FinishedTest(NamedTuple):
    """A finished test.

    Attributes:
        folder (Path): Where it wrote its log, ``<work dir>/<time>``.
        config (Path): Its config as it was run.
        scores (dict[str, Scores]): By video, below the folder that all have in common.
        videos (list[Path]): The files of these.
        classes (list[str]): Names of the classes; empty if the test had none.
    """

    folder: Path
    config: Path
    scores: dict[str, Scores]
    videos: list[Path]
    classes: list[str]


def find_test(work_dir: Path) -> FinishedTest:
    """Read the last test in a work dir that kept its scores.

    Raises:
        InputError: If there is none, one of its files is missing or damaged, or a video has no
            label.
    """
    found = sorted(work_dir.glob('*/scores.npz'))
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
            raise InputError(f'{found[-1]}: {video} has no label: a report needs those of all')
    with np.load(found[-1], allow_pickle=False) as file:
        videos = [Path(name) for name in file['filenames'].tolist()]
        classes = file['classes'].tolist() if 'classes' in file else []
    return FinishedTest(folder, config, scores, videos, classes)


def training_of(work_dir: Path) -> tuple[Curves, dict[int, float]]:
    """Errors and mean losses by epoch of the training in a work dir, empty without one."""
    try:
        curves = read_curves(work_dir)
    except InputError:
        return Curves({}, {}), {}
    losses: dict[int, list[float]] = {}
    for record in training_records(work_dir):
        losses.setdefault(record['epoch'], []).append(record['loss'])
    return curves, {epoch: fmean(losses[epoch]) for epoch in sorted(losses)}


def training_records(work_dir: Path) -> list[dict[str, Any]]:
    """What the training in a work dir logged of its steps."""
    records = (record for log in find_logs(work_dir) for record in read_log(log))
    return [record for record in records if {'loss', 'epoch', 'time'} <= set(record)]


def speed_of(test: FinishedTest, cfg: Config) -> list[Speed]:
    """Speed of the test and of the training in its work dir, where they were logged."""
    rows = []
    log = test.folder / f'{test.folder.name}.json'
    if log.is_file():
        # Every rank writes this file: after the object may stand the end of a longer one.
        content, _ = json.JSONDecoder().raw_decode(log.read_text())
        clips = len(next(iter(test.scores.values())).clips)
        rows.append(speed('test', [content], cfg['test_dataloader'].get('batch_size', 1) * clips))
    records = training_records(test.folder.parent)
    if records:
        rows.append(speed('training', records, cfg['train_dataloader'].get('batch_size', 1)))
    return rows


def speed(name: str, records: Sequence[Mapping[str, float]], clips: int) -> Speed:
    """Mean speed of batches of a number of clips."""
    seconds, waiting = (fmean(record[key] for record in records) for key in ('time', 'data_time'))
    return Speed(name, clips, seconds, clips / seconds, waiting / seconds)


def environment_of(test: FinishedTest) -> dict[str, str]:
    """What MMEngine logged of the machine and versions of the test."""
    log = test.folder / f'{test.folder.name}.log'
    text = log.read_text('utf-8', 'replace') if log.is_file() else ''
    block = text.partition('System environment:')[2].partition('Runtime environment:')[0]
    rows = dict(ENVIRONMENT.findall(block))
    rows.pop('PyTorch compiling details', None)
    return rows

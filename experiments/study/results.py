"""Results of the study's runs: compute, write and read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from r21d_plugin._errors import InputError
from r21d_plugin.evaluation.scores import COUNTS, Scores, accuracy

from .plan import Run, Scale, tuning_runs
from .videos import ACTIONS, REQUIREMENTS

ACCURACIES = ('clip@1', 'video@1')


class Result(NamedTuple):
    """Result of a run. Accuracies and errors are 0 to 1.

    Attributes:
        name (str): Name of the run.
        rate (float): Learning rate.
        errors (list[float]): Training error of each twentieth of the run.
        seconds (float): CPU time of training, of all threads of the process.
        tests (dict): Accuracies by frames of the test's clips, then by ``'clip@1'``, ``'video@1'``
            and what has to be recognised, for which it is video@1 of those classes.
        by_clips (dict): video@1 by number of clips; empty without such a test.
        machine (str): CPU or GPU, threads and PyTorch's version.
    """

    name: str
    rate: float
    errors: list[float]
    seconds: float
    tests: dict[str, dict[str, float]]
    by_clips: dict[str, float]
    machine: str


def accuracies(scores: Mapping[str, Scores]) -> dict[str, float]:
    """Compute clip@1 and video@1 of a test, and video@1 by what has to be recognised."""
    whole = accuracy(scores)
    found = {metric: whole[metric] for metric in ACCURACIES}
    for requirement in REQUIREMENTS:
        part = {
            video: each
            for video, each in scores.items()
            if ACTIONS[min(each.labels)].requires == requirement
        }
        found[requirement] = accuracy(part)['video@1']
    return found


def accuracies_by_clips(scores: Mapping[str, Scores]) -> dict[str, float]:
    """Compute video@1 with fewer clips of a video, by their number.

    It is a mean over all choices of so many evenly spaced clips out of the tested ones, whose
    number is the last of ``COUNTS``.
    """
    found = {}
    for count in COUNTS:
        step = COUNTS[-1] // count
        choices = [
            accuracy(
                {name: Scores(clips[i::step], labels) for name, (clips, labels) in scores.items()}
            )
            for i in range(step)
        ]
        found[str(count)] = fmean(choice['video@1'] for choice in choices)
    return found


def read_result(path: Path) -> Result:
    """Read the result of a finished run.

    Raises:
        InputError: If the file is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text('utf-8'))
        return Result(**content)
    except FileNotFoundError:
        raise InputError(f'{path}: this run is not finished: run the study again') from None
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f'{path}: damaged: remove it and run the study again') from error


def path_of(run: Run, out: Path) -> Path:
    """Return the path of a run's result."""
    return out / 'runs' / f'{run.name}.json'


def read_results(runs: Iterable[Run], out: Path) -> dict[str, list[Result]]:
    """Read the results of the seeds of which all runs are finished.

    Args:
        runs (Iterable[Run]): The runs of the study.
        out (Path): Folder of the study.

    Returns:
        dict[str, list[Result]]: Results by setting, in the order of seeds.

    Raises:
        InputError: If fewer than two seeds are finished, which give no interval, or a file is
            damaged.
    """
    paths = {run: path_of(run, out) for run in runs}
    unfinished = {run.seed for run, path in paths.items() if not path.exists()}
    found: dict[str, list[Result]] = {}
    for run, path in paths.items():
        if run.seed not in unfinished:
            found.setdefault(run.setting, []).append(read_result(path))
    if not found or len(next(iter(found.values()))) < 2:
        raise InputError(f'{out}: fewer than two seeds are finished: run the study again')
    return found


def tuned_rates(scale: Scale, out: Path) -> dict[str, dict[float, float]]:
    """Read video@1 by learning rate for each network, as a mean over seeds.

    Raises:
        InputError: If a run that chooses a rate is not finished.
    """
    table = {network: dict.fromkeys(scale.rates, 0.0) for network in scale.networks}
    for run in tuning_runs(scale):
        assert run.rate is not None
        tested = read_result(path_of(run, out)).tests[str(run.frames)]
        table[run.network][run.rate] += tested['video@1'] / scale.tuning_seeds
    return table


def best_rate(by_rate: Mapping[float, float]) -> float:
    """Return the rate of the highest accuracy; of equal ones, the lowest."""
    return max(sorted(by_rate), key=lambda rate: by_rate[rate])

"""Read the results of the study's runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from r21d_plugin.evaluation.curves import Curves, find_logs, read_curves, read_log
from r21d_plugin.evaluation.scores import Scores, accuracy, accuracy_by_clips, read_scores

from .hard_motion import ACTIONS
from .plan import MANY_CLIPS, Run, Scale, Test, epochs_of, tests_of

COUNTS = (1, 2, 5, 10, 20, 50, MANY_CLIPS)
"""Numbers of test clips in Figure 5b."""

ACCURACIES = ('clip@1', 'video@1')

REQUIREMENTS = tuple(dict.fromkeys(action.requires for action in ACTIONS.values()))
"""Requirements of classes."""


class Values(NamedTuple):
    """A value for each of several runs with different seeds."""

    each: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return fmean(self.each)

    @property
    def spread(self) -> float:
        """Standard deviation; 0 for a single value."""
        return stdev(self.each) if len(self.each) > 1 else 0.0

    def __sub__(self, other: Values) -> Values:
        """Return the differences, seed by seed."""
        return Values(tuple(a - b for a, b in zip(self.each, other.each)))


class Results(NamedTuple):
    """Results of one setting, over its seeds.

    Attributes:
        tests (dict): Accuracies, 0 to 1, by frames of the test's clips, then by
            ``'clip@1'``, ``'video@1'`` and the requirements of classes, for
            which it is video@1 of those classes.
        by_clips (dict): video@1 by number of clips; empty without such a test.
        curves (list[Curves]): Errors by epoch, for each seed.
        seconds (Values): Training time, without validation.
    """

    tests: dict[int, dict[str, Values]]
    by_clips: dict[int, Values]
    curves: list[Curves]
    seconds: Values

    @property
    def training_error(self) -> Values:
        """Training error of the last epoch."""
        return Values(tuple(curves.training[max(curves.training)] for curves in self.curves))


def read_results(planned: Iterable[Run], scale: Scale, out: Path) -> dict[str, Results]:
    """Read the results of finished runs.

    Args:
        planned (Iterable[Run]): The runs.
        scale (Scale): Scale of the runs.
        out (Path): Folder of the study.

    Returns:
        dict[str, Results]: Results by setting.

    Raises:
        InputError: If a run is not finished or a file is damaged.
    """
    settings: dict[str, list[Run]] = {}
    for run in planned:
        settings.setdefault(run.setting, []).append(run)
    return {setting: results_of(seeds, scale, out) for setting, seeds in settings.items()}


def results_of(seeds: list[Run], scale: Scale, out: Path) -> Results:
    """Return the results of the runs of one setting."""
    tests: dict[int, dict[str, Values]] = {}
    by_clips: dict[int, Values] = {}
    for test in tests_of(seeds[0]):
        scores = [read_scores(out / Test(run, *test[1:]).scores) for run in seeds]
        if test.clips == MANY_CLIPS:
            counted = [accuracy_by_clips(each, COUNTS) for each in scores]
            by_clips = {n: Values(tuple(row[n]['video@1'] for row in counted)) for n in COUNTS}
        else:
            tests[test.frames] = together([accuracies(each) for each in scores])
    return Results(
        tests,
        by_clips,
        [read_curves(out / run.name) for run in seeds],
        Values(tuple(training_seconds(run, scale, out) for run in seeds)),
    )


def accuracies(scores: Mapping[str, Scores]) -> dict[str, float]:
    """Compute clip@1 and video@1 of a test, and video@1 by requirement of classes."""
    whole = accuracy(scores)
    found = {metric: whole[metric] for metric in ACCURACIES}
    requirements = [action.requires for action in ACTIONS.values()]
    for requirement in REQUIREMENTS:
        part = {
            video: each
            for video, each in scores.items()
            if requirements[min(each.labels)] == requirement
        }
        found[requirement] = accuracy(part)['video@1']
    return found


def together(runs: list[dict[str, float]]) -> dict[str, Values]:
    """Collect the values of several runs by name."""
    return {name: Values(tuple(run[name] for run in runs)) for name in runs[0]}


def training_seconds(run: Run, scale: Scale, out: Path) -> float:
    """Compute the time of a run's training steps: their logged mean times their number."""
    steps = epochs_of(run, scale) * (scale.epoch_size // scale.batch_size)
    logs = find_logs(out / run.name)
    times = [record['time'] for log in logs for record in read_log(log) if 'loss' in record]
    return fmean(times) * steps

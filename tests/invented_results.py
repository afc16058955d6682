"""Invented results of a study."""

from experiments.study.plan import runs, tests_of
from experiments.study.results import COUNTS, REQUIREMENTS, Results, Values
from tools.plot_curves import Curves


def values(mean):
    """A figure of three seeds."""
    return Values((mean - 0.001, mean, mean + 0.001))


def results(accuracies):
    """Results whose accuracies are those given by setting, else 0.5, and training errors 0.4."""
    found = {}
    for run in runs(1):
        tests = {}
        for test in tests_of(run):
            key = run.setting if test.frames == run.frames else f'{run.setting}_on_{test.frames}f'
            names = ('clip@1', 'video@1', *REQUIREMENTS)
            tests[test.frames] = {name: values(accuracies.get(key, 0.5)) for name in names}
        error = accuracies.get(f'{run.setting} error', 0.4)
        curves = [Curves({1: 0.9, 2: e}, {1: 0.95, 2: 0.6}) for e in values(error).each]
        by_clips = {count: values(accuracies.get(count, 0.5)) for count in COUNTS}
        found[run.setting] = Results(
            tests, by_clips if run.frames == 32 else {}, curves, values(60.0 * run.frames)
        )
    return found

"""Invented results of a study."""

from experiments.study.plan import SCALES, runs
from experiments.study.results import REQUIREMENTS, Result
from experiments.study.running import tests_of
from r21d_plugin.evaluation.scores import COUNTS


def results(accuracies, spread=0.001, scale=SCALES['tiny'], seeds=3):
    """Make results whose mean accuracies are those given by setting, else 0.5.

    Args:
        accuracies (dict): Accuracies, 0 to 1, by setting (``r3d_18_8f``), by setting and frames of
            the test (``r2plus1d_18_8f on 32``), or by number of clips (100); training errors, else
            0.4, by setting (``r3d_18_8f error``).
        spread (float): Difference between successive seeds. Each setting has its own order of
            seeds, so that differences have a spread, too.
        scale (Scale): Scale whose runs are invented.
        seeds (int): Number of seeds.
    """
    found = {}
    for index, run in enumerate(runs(scale._replace(seeds=seeds, long_seeds=seeds))):
        shift = spread * ((run.seed * (1 + index % 2)) % seeds - (seeds - 1) / 2)
        tests = {}
        for frames, clips, _ in tests_of(run, scale):
            if clips == 10:
                key = run.setting if frames == run.frames else f'{run.setting} on {frames}'
                metrics = ('clip@1', 'video@1', *REQUIREMENTS)
                tests[str(frames)] = {name: accuracies.get(key, 0.5) + shift for name in metrics}
        error = accuracies.get(f'{run.setting} error', 0.4) + shift
        clips = {str(count): accuracies.get(count, 0.5) + shift for count in COUNTS}
        result = Result(run.name, 0.1, [0.9] * 18 + [error] * 2, 60.0, tests, clips, 'a machine')
        found.setdefault(run.setting, []).append(result)
    return found

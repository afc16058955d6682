import os
import sys

import pytest

from experiments.study import Run, Scale, make_videos, run_all
from experiments.study.plan import runs
from experiments.study.results import read_results
from r21d_plugin import InputError, list_models

TINY = Scale(4, 32, 16, 2, 1, 8, 4, 1, 1)


@pytest.fixture(scope='module', autouse=True)
def quick_scripts(python):
    """Have scripts begin in a process that has imported everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'executable', str(python))
        yield


@pytest.fixture(scope='module')
def study(quick_scripts, tmp_path_factory):
    """A network trained on 8 frames and finetuned on 32, with all tests."""
    out = tmp_path_factory.mktemp('study')
    assert len(list(make_videos(TINY, out, 2))) == 48
    planned = [Run('r2plus1d_18', 8, 0), Run('r2plus1d_18', 32, 0, source=8)]
    seen = []
    run_all(planned, TINY, out, 'cpu', 2, lambda run, epoch: seen.append((run.name, epoch)))
    return out, planned, seen


def test_runs_and_their_tests(study):
    out, planned, seen = study
    first, second = (run.name for run in planned)
    assert (first, 'r2plus1d_18_8f_seed0') == ('r2plus1d_18_8f_seed0', first)
    assert seen.index((first, 2)) < seen.index((second, 1))
    assert 'loaded' in (out / second / 'train.log').read_text()
    found = read_results(planned, TINY, out)
    assert list(found['r2plus1d_18_8f'].tests) == [8, 32]
    assert len(found['r2plus1d_18_8f'].curves[0].training) == 2
    assert found['r2plus1d_18_32f_from_8f'].seconds.mean > 0
    parts = found['r2plus1d_18_8f'].tests[8]
    weighted = 2 * parts['appearance'].mean + 8 * parts['short motion'].mean
    weighted += 6 * parts['long motion'].mean
    assert weighted / 16 == pytest.approx(parts['video@1'].mean)


def test_finished_runs_are_not_done_again(study):
    out, planned, _ = study
    before = {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.is_file()}
    assert not list(make_videos(TINY, out, 2))
    run_all(planned, TINY, out, 'cpu', 1, lambda *_: None)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob('*') if path.is_file()}


def test_another_study_in_the_folder(study):
    out, planned, _ = study
    with pytest.raises(InputError, match=r'seed0\.py: differs from the config.*--out'):
        run_all(planned, TINY._replace(width=8), out, 'cpu', 1, lambda *_: None)


def test_a_run_that_fails(tmp_path):
    """One line says why, and where more stands."""
    with pytest.raises(InputError, match=r'train\.log: train\.py failed: error: .*annotation file'):
        run_all([Run('r2d_18', 8, 0)], TINY, tmp_path, 'cpu', 1, lambda *_: None)
    assert sorted(os.listdir(tmp_path)) == ['configs', 'r2d_18_8f_seed0']


def test_planned_runs():
    names = [run.name for run in runs(2)]
    assert len(set(names)) == len(names)
    alone = {f'{name}_8f' for name in list_models(18)}
    alone |= {'r3d_34_8f', 'r2plus1d_34_8f', 'r2plus1d_18_16f', 'r2plus1d_18_32f'}
    expected = alone | {'r2plus1d_18_32f_from_8f'}
    assert set(names) == {f'{name}_seed{seed}' for name in expected for seed in (0, 1)}
    assert names.index('r2plus1d_18_8f_seed1') < names.index('r2plus1d_18_32f_from_8f_seed1')

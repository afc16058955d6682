import json
import os
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from experiments.study import report, running, training
from experiments.study.plan import SCALES, Run, runs, tuning_runs
from experiments.study.results import (
    accuracies_by_clips,
    best_rate,
    path_of,
    read_results,
    tuned_rates,
)
from experiments.study.running import SeedStudy, check_settings, load_videos, run_group, run_groups
from experiments.study.training import Trainer
from r21d_plugin import InputError, create_model
from r21d_plugin.evaluation.scores import Scores

TINY = SCALES['tiny']
RATES = dict.fromkeys(TINY.networks, 0.05)
RUN = Run('r2plus1d_18', 8, 0)
TUNED = Run('r2plus1d_18', 32, 0, source=8)


@pytest.fixture(scope='module')
def study():
    """The study of one seed, without a folder."""
    train, test = (
        load_videos(count, 0, split, 'cpu') for count, split in ((32, 'train'), (16, 'test'))
    )
    return SeedStudy(train, test, RATES, TINY, None, 'cpu')


def test_training_reduces_the_error(study):
    """On few clips, which a network can learn by heart."""
    torch.manual_seed(0)
    model = create_model('r3d_18', 16, base_channels=4)
    few = training.Videos(study.train.frames[:4, :9], study.train.labels[:4])
    trainer = Trainer(model, few, 8, 8, 60, 0.05, 0)
    trainer.run(lambda state: None)
    assert len(trainer.errors) == training.EPOCHS
    assert trainer.errors[0] > 0.5 > trainer.errors[-1]


def test_fewer_steps_than_parts(study):
    """No error is recorded for a part without a step."""
    model = create_model('r2d_18', 16, base_channels=4)
    trainer = Trainer(model, study.train, 8, 4, 3, 0.05, 0)
    states = []
    trainer.run(lambda state: states.append(state['step']))
    assert states == [1, 2, 3]
    assert len(trainer.errors) == 3


def test_networks_of_a_seed_see_the_same_clips(study):
    def clips(seed, network='r2d_18', step=3):
        model = create_model(network, 16, base_channels=4)
        trainer = Trainer(model, study.train, 8, 4, 20, 0.05, seed)
        trainer.step = step
        return trainer.draw_clips()

    one, labels = clips(0)
    other, same = clips(0, 'r3d_18')
    assert one.shape == (4, 3, 8, 32, 32)
    assert torch.equal(one, other)
    assert torch.equal(labels, same)
    assert not torch.equal(one, clips(1)[0])
    assert not torch.equal(one, clips(0, step=4)[0])


def test_a_run_resumes_where_it_was_stopped(study, tmp_path, monkeypatch):
    whole = replace(study, out=tmp_path / 'whole')
    whole.do(RUN)
    stopped = replace(study, out=tmp_path / 'stopped')
    step, steps = Trainer.train_step, []

    def interrupted(trainer):
        steps.append(trainer.step)
        if len(steps) == 13:
            raise KeyboardInterrupt
        return step(trainer)

    monkeypatch.setattr(Trainer, 'train_step', interrupted)
    with pytest.raises(KeyboardInterrupt):
        stopped.do(RUN)
    stopped.do(RUN)
    assert steps == [*range(13), *range(12, 20)]
    one, other = (json.loads(path_of(RUN, s.out).read_text()) for s in (whole, stopped))
    assert one.pop('seconds') > 0 < other.pop('seconds')
    assert one == other


def test_finetuning_starts_from_the_short_clips(study, tmp_path):
    """Also where the weights of that run are gone."""
    tuned = replace(study, out=tmp_path)
    tuned.do(RUN)
    saved = tuned.weights_of(RUN)
    trainer, rate = tuned.trainer(TUNED)
    assert rate == pytest.approx(0.2 * 0.05)
    assert trainer.clip_len == 32
    assert all(torch.equal(saved[k], v) for k, v in trainer.model.state_dict().items())
    tuned.state_path(RUN).unlink()
    again = tuned.weights_of(RUN)
    assert all(torch.equal(saved[k], again[k]) for k in saved)


@pytest.mark.slow
def test_the_whole_study(tmp_path, monkeypatch):
    """A report, a second call without work, and one line for another scale."""
    scale = TINY._replace(networks=('r2d_18', 'fr2d_18', 'r3d_18', 'r2plus1d_18'), rates=(0.1,))
    monkeypatch.setattr(running, 'make_videos', lambda count, *_: noise(count))
    for planned, rates in ((tuning_runs(scale), {}), (runs(scale), RATES)):
        for seed, network in dict.fromkeys((run.seed, run.network) for run in planned):
            group = [run for run in planned if (run.seed, run.network) == (seed, network)]
            run_group(group, rates, scale, tmp_path, 'cpu', 1)
    chosen = tuned_rates(scale, tmp_path)
    assert {best_rate(row) for row in chosen.values()} <= set(scale.rates)
    found = read_results(runs(scale), tmp_path)
    assert found['r2plus1d_18_8f'][1].tests.keys() == {'8', '32'}
    assert found['r2plus1d_18_32f'][0].by_clips.keys() == {'1', '2', '5', '10', '20', '50', '100'}
    text = report.write_report(scale, tmp_path).read_text()
    assert '2 of the planned 2 seeds, from 0 on, on 8 frames, and R(2+1)D-18 with 2 of 2' in text
    more = scale._replace(seeds=3)
    path_of(runs(more)[-3], tmp_path).write_text('')  # a part of the third seed
    assert read_results(runs(more), tmp_path) == found


def noise(count):
    """Make videos of noise, quickly."""
    rng = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (count, 48, 40, 40, 3), generator=rng, dtype=torch.uint8)
    return frames.numpy(), (torch.arange(count) % 16).numpy()


def test_finished_runs_are_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(running, 'worker_pool', lambda *_: nullcontext())  # without submit
    for run in runs(TINY):
        path_of(run, tmp_path).parent.mkdir(exist_ok=True)
        path_of(run, tmp_path).write_text('')
    run_groups(runs(TINY), RATES, TINY, tmp_path, 'cpu', 1, lambda finished: None)


def test_another_study_in_the_folder(tmp_path):
    check_settings(TINY, tmp_path)
    check_settings(TINY, tmp_path)
    with pytest.raises(InputError, match=r'settings\.json: a study with other settings.*--out'):
        check_settings(TINY._replace(width=8), tmp_path)


def test_damaged_results(tmp_path):
    with pytest.raises(InputError, match='fewer than two seeds are finished'):
        read_results(runs(TINY), tmp_path)
    os.makedirs(tmp_path / 'runs')
    for run in runs(TINY):
        path_of(run, tmp_path).write_text('{}')
    with pytest.raises(InputError, match=r'seed0\.json: damaged: remove it'):
        read_results(runs(TINY), tmp_path)


def test_accuracy_with_fewer_clips():
    """A mean over all choices: one clip is right in 50 of 100, and the mean of two always is."""
    right, wrong = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.4, 0.6]])
    clips = torch.cat([right.repeat(50, 1), wrong.repeat(50, 1)])
    found = accuracies_by_clips({'a': Scores(clips, frozenset([0]))})
    assert found['1'] == 0.5
    assert {found[count] for count in ('2', '5', '10', '20', '50', '100')} == {1.0}


def test_a_study_with_one_rate_has_no_runs_that_choose_it(tmp_path):
    scale = SCALES['repeat']
    assert not tuning_runs(scale)
    assert {best_rate(row) for row in tuned_rates(scale, tmp_path).values()} == {0.03}
    assert {run.seed for run in runs(scale)} == {*range(8, 24)}
    assert 'for all networks' in report.learning_rates(scale, tmp_path)


def test_order_of_runs():
    """Seed by seed, so that every finished seed counts; and sources before what they start."""
    planned = runs(TINY)
    assert [run.seed for run in planned] == sorted(run.seed for run in planned)
    assert planned.index(RUN) < planned.index(TUNED)
    assert TUNED.pretraining == RUN
    few = runs(TINY._replace(long_seeds=1))
    assert [run.seed for run in few if run.frames == 32] == [0, 0]
    assert {run.network for run in runs(SCALES['full'])} > {'r3d_34', 'r2plus1d_34', 'rmc4_18'}

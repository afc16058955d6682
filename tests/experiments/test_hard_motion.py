import numpy as np
import pytest
from mmengine.config import Config
from support import ROOT

from experiments.motion import Motion
from experiments.study import hard_motion
from experiments.study.hard_motion import (
    ACTIONS,
    APPEARANCE,
    FRAMES,
    LONG,
    REST,
    SHORT,
    render,
    schedule,
)


@pytest.fixture(scope='module')
def videos():
    """Six videos of each class: class -> videos x frames x height x width x 3."""
    return {
        name: np.stack([render(action, np.random.default_rng([i, label])) for i in range(6)])
        for label, (name, action) in enumerate(ACTIONS.items())
    }


def test_requirements_of_classes():
    required = [action.requires for action in ACTIONS.values()]
    assert {r: required.count(r) for r in required} == {APPEARANCE: 2, SHORT: 8, LONG: 6}
    assert Config.fromfile(ROOT / 'configs/_base_/hard_motion.py').num_classes == len(ACTIONS)


def test_no_eight_frames_show_both_motions():
    """Nor do thirteen, and whoever sees the order of a long motion tells its class."""
    motions = Motion(shift=(1.0, 0.0)), Motion(turn=6.0)
    for seed in range(50):
        speeds = schedule(motions, np.random.default_rng(seed))
        first, second = speeds[:, 0] != 0, speeds[:, 2] != 0
        assert not (first & second).any()
        assert np.flatnonzero(second)[0] - np.flatnonzero(first)[-1] == REST + 1
        assert first.sum() >= 16
        assert second.sum() >= 16
    orders = [action.motions for action in ACTIONS.values() if action.requires == LONG]
    assert len(set(orders)) == len(orders)
    assert {tuple(reversed(order)) for order in orders} == set(orders)


def test_short_motions_last():
    speeds = schedule(ACTIONS['right'].motions, np.random.default_rng(0))
    assert (speeds == speeds[0]).all()
    assert len(speeds) == FRAMES


@pytest.mark.parametrize('statistic', [np.mean, np.std, lambda x: np.abs(np.diff(x)).mean()])
def test_frames_of_motions_look_alike(videos, statistic):
    """Single frames tell the patterns, and nothing else."""
    motions = [name for name, action in ACTIONS.items() if action.requires != APPEARANCE]
    means = np.array(
        [[statistic(video[::8].astype(float)) for video in videos[n]] for n in motions]
    )
    standard_error = means.std() / np.sqrt(means.shape[1])
    assert np.abs(means.mean(axis=1) - means.mean()).max() < 4 * standard_error


@pytest.mark.parametrize(('pattern', 'row'), [('stripes', 0), ('checks', 28)])
def test_patterns_show_in_a_frame(pattern, row):
    """As waves that noise lacks, 28 across the canvas: stripes in one direction, checks in two."""
    for seed in range(5):
        drawn = hard_motion.PATTERNS[pattern](np.random.default_rng(seed)).astype(float)
        spectrum = np.abs(np.fft.rfft2(drawn, axes=(0, 1))).sum(-1)
        around = spectrum[row : row + 8, 24:33]
        assert spectrum[row, 28] == around.max() > 5 * np.median(around)


def test_patterns_move_like_other_classes(monkeypatch):
    """So that their motion says nothing about them."""
    seen = []
    monkeypatch.setattr(hard_motion, 'texture', lambda rng: np.zeros((256, 256, 3)))
    monkeypatch.setattr(hard_motion, 'moved', lambda *_: np.zeros((64, 64, 64, 3)))
    monkeypatch.setattr(hard_motion, 'schedule', lambda m, rng: seen.append(m) or np.zeros((64, 3)))
    for seed in range(100):
        render(ACTIONS['stripes'], np.random.default_rng(seed))
    assert set(seen) == {action.motions for action in ACTIONS.values() if action.motions}


def test_seeds(videos):
    again = render(ACTIONS['up'], np.random.default_rng([3, list(ACTIONS).index('up')]))
    assert (again == videos['up'][3]).all()
    assert (again != videos['up'][4]).any()
    assert again.shape == (64, 64, 64, 3)

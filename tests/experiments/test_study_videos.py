import numpy as np
import pytest

from experiments.study import videos
from experiments.study.videos import (
    ACTIONS,
    DIAGONAL,
    FRAMES,
    MOTION,
    ORDER,
    SLOW,
    make_videos,
    schedule,
)


@pytest.fixture(scope='module')
def made():
    return make_videos(3 * len(ACTIONS), seed=0, split='train')


def test_videos_and_labels(made):
    frames, labels = made
    assert frames.shape == (48, 96, 40, 40, 3)
    assert frames.dtype == np.uint8
    assert np.bincount(labels).tolist() == [3] * len(ACTIONS)


def test_seeds_and_splits(made):
    again, _ = make_videos(2, seed=0, split='train')
    assert (again == made[0][:2]).all()
    for seed, split in ((1, 'train'), (0, 'val'), (0, 'test')):
        other, _ = make_videos(1, seed, split)
        assert (other[0] != made[0][0]).mean() > 0.9


def test_two_motions_differ_in_their_order_only():
    one, other = (action.motions for action in ACTIONS if action.requires == ORDER)
    assert one == (other[0][::-1],)
    for motions in (*one, *other):
        shifts = schedule(motions, np.random.default_rng(0))[:, 0]
        changes = np.flatnonzero(np.diff(shifts))
        after = [float(shifts[at + 1]) for at in changes]
        order = [motion.shift[0] for motion in motions] + [0.0]
        start = order.index(after[0])
        assert after == [order[(start + i) % 3] for i in range(len(after))]
        assert sorted(set(shifts)) == [-1.5, 0, 1.5]


def test_one_motion_does_not_change():
    speeds = schedule((DIAGONAL[0],), np.random.default_rng(0))
    assert speeds.shape == (FRAMES, 3)
    assert (speeds == [1.5, 1.5, 0]).all()


def test_textures_move_as_their_class(monkeypatch):
    """Without noise and interruptions, a frame is the one before, moved."""
    monkeypatch.setattr(videos, 'NOISE', 0.0)
    monkeypatch.setattr(videos, 'interrupted', lambda _: np.zeros(FRAMES, bool))
    action = next(a for a in ACTIONS if a.motions == ((SLOW[0],),))
    clip = videos.render(action, np.random.default_rng(0)).astype(float)
    before, after = clip[40], clip[41]
    errors = [np.abs(after[:, 4:] - before[:, 4 - by : 40 - by]).mean() for by in range(5)]
    assert np.argmin(errors) == 1
    assert errors[1] < errors[0] / 2


def test_frames_of_all_motions_look_alike(made):
    """A single frame does not tell the motion: it has the same contrast in all of them."""
    frames, labels = made
    contrast = frames[:, ::8].astype(float).std(axis=(2, 3)).mean(axis=(1, 2))
    by_class = [contrast[labels == i] for i, a in enumerate(ACTIONS) if a.requires == MOTION]
    means = [each.mean() for each in by_class]
    assert np.ptp(means) < 3 * contrast.std() / np.sqrt(len(by_class[0]))


def test_interruptions():
    for seed in range(50):
        hidden = videos.interrupted(np.random.default_rng(seed))
        assert hidden[:48].sum() == hidden[48:].sum() == videos.INTERRUPTION

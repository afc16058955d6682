import os

import numpy as np
import pytest

from r21d_plugin import InputError
from r21d_plugin.inference.draw import COLOURS, Overlay, write_video
from r21d_plugin.inference.sliding_window import WindowScores

SIZES = [(64, 64), (320, 240), (240, 320), (1920, 1080)]
LABELS = ['first', 'second', 'ж' * 300, '切蔬菜', '']


def scores(first, second):
    """One class for 10 frames, then another for 10."""
    starts = np.array([0, 10])
    return WindowScores(np.float32([first, second]), starts, starts + 10, frames=20, fps=25.0)


@pytest.fixture(params=SIZES, ids='{0[0]}x{0[1]}'.format)
def drawn(request):
    """Function from scores to frame 0 and frame 15 with them drawn on grey."""

    def draw(values, labels=LABELS):
        overlay = Overlay(request.param, values, labels, top=5)
        width, height = request.param
        frames = []
        for number in (0, 15):
            frame = np.full((height, width, 3), 128, np.uint8)
            frames.append(overlay.draw(number, frame))
        return frames

    return draw


def colour_at(frame, x, y):
    """Which of the colours a place of a frame has, if any."""
    height, width = frame.shape[:2]
    place = frame[int(y * height), int(x * width)]
    distances = np.abs(COLOURS - place).sum(1)
    return int(distances.argmin()) if distances.min() < 120 else None


def test_timeline(drawn):
    values = scores([0.9, 0.1, 0, 0, 0], [0.2, 0.8, 0, 0, 0])
    for frame in drawn(values):
        assert [colour_at(frame, x, 0.999) for x in (0.3, 0.45, 0.55, 0.9)] == [0, 0, 1, 1]
    begin, later = drawn(values)
    assert (begin[-1, 0] == 255).all()
    assert (later[-1, later.shape[1] * 3 // 4] == 255).all()


def test_bars_are_as_long_as_their_scores(drawn):
    frame = drawn(scores([1, 0, 0, 0, 0], [1, 0, 0, 0, 0]))[0]
    assert colour_at(frame, 0.3, 0) == 0
    frame = drawn(scores([0.1] * 5, [0.1] * 5))[0]
    panel = np.flatnonzero(frame[0, :, 0] != 128)[-1] + 1
    assert (frame[0, panel // 8 : panel] < 70).all(), 'dark beside the bar'
    assert panel <= frame.shape[1]


def test_labels_stay_inside(drawn):
    """The longest name fills the panel and no more, and no name is needed."""
    plain = drawn(scores([0] * 5, [0] * 5), [''] * 5)[0]
    named = drawn(scores([0, 0, 0.01, 0, 0], [0, 0, 0.01, 0, 0]))[0]
    changed = np.flatnonzero(np.abs(named.astype(int) - plain).max(axis=(0, 2)) > 60)
    panel = np.flatnonzero(plain[0, :, 0] != 128)[-1] + 1
    assert changed[changed < panel].max() > 0.8 * panel
    assert (named[0, panel:] == 128).all()


@pytest.mark.parametrize('size', [(16, 2), (1, 1), (3, 200)])
def test_frames_smaller_than_text(size):
    overlay = Overlay(size, scores([1, 0, 0, 0, 0], [1, 0, 0, 0, 0]), LABELS, top=5)
    assert overlay.draw(15, np.full((*size[::-1], 3), 128, np.uint8)).shape == (*size[::-1], 3)


def test_a_copy_that_opencv_cannot_write(tmp_path):
    frames = iter(np.zeros((2, 48, 64, 3), np.uint8))
    with pytest.raises(InputError, match=r'/\\xff/a\.mp4: cannot write .* its name is not UTF-8$'):
        write_video(tmp_path / os.fsdecode(b'\xff') / 'a.mp4', frames, fps=25, parents=True)
    assert not list(tmp_path.iterdir())

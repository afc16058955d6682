import cv2
import numpy as np
import pytest

from r21d_plugin import InputError
from r21d_plugin.datasets.video_reader import VideoReader
from r21d_plugin.inference.draw import (
    BACKGROUND,
    COLOURS,
    Overlay,
    Panel,
    check_display,
    draw_live,
    show,
    write_video,
)
from r21d_plugin.inference.sliding_window import WindowScores

SIZES = [(64, 64), (320, 240), (240, 320), (1920, 1080)]
LABELS = ['first', 'second', 'ж' * 300, '切蔬菜', '']


def scores(first, second):
    """One class for 10 frames, then another for 10."""
    starts = np.array([0, 10])
    return WindowScores(np.float32([first, second]), starts, starts + 10, frames=20, fps=25.0)


@pytest.fixture(params=SIZES, ids='{0[0]}x{0[1]}'.format)
def drawn(request):
    """Return a function from scores to frames 0 and 15 of noise, each with its drawing below."""
    width, height = request.param
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)

    def draw(values, labels=LABELS):
        overlay = Overlay(request.param, values, labels, top=5)
        pairs = []
        for number in (0, 15):
            whole = overlay.draw(number, noise)
            factor = overlay.panel.picture_size[1] // height
            enlarged = cv2.resize(noise, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            assert np.array_equal(whole[: height * factor, : width * factor], enlarged)
            pairs.append(whole[height * factor :])
        return pairs

    return draw


def colour_at(strip, x, y):
    """Return the colour at a place of a strip, or None."""
    height, width = strip.shape[:2]
    place = strip[int(y * height), int(x * width)]
    distances = np.abs(COLOURS - place).sum(1)
    return int(distances.argmin()) if distances.min() < 120 else None


def test_sizes():
    sizes = [(112, 112), (320, 240), (1920, 1080), (360, 640), (16, 2), (1, 1), (3, 200)]
    pictures = [Panel(size, LABELS, 5, {}).picture_size for size in sizes]
    assert pictures == [
        *((448, 448), (640, 480), (1920, 1080), (360, 640)),
        *((1920, 240), (360, 360), (27, 1800)),
    ]
    for size in sizes:
        panel = Panel(size, LABELS, 5, {})
        whole = panel.draw(np.full((*size[::-1], 3), 128, np.uint8), np.float32([1, 0, 0, 0, 0]))
        height, width = whole.shape[:2]
        assert width >= 360
        assert width % 2 == height % 2 == 0
        assert panel.row_height >= 18, 'text that can be read'


def test_timeline(drawn):
    values = scores([0.9, 0.1, 0, 0, 0], [0.2, 0.8, 0, 0, 0])
    for strip in drawn(values):
        assert [colour_at(strip, x, 0.999) for x in (0.3, 0.45, 0.55, 0.9)] == [0, 0, 1, 1]
    begin, later = drawn(values)
    assert (begin[-1, 0] == 255).all()
    assert (later[-1, later.shape[1] * 3 // 4] == 255).all()


def test_bars_are_as_long_as_their_scores(drawn):
    strip = drawn(scores([0.5, 0, 0, 0, 0], [0.5, 0, 0, 0, 0]))[0]
    coloured = np.flatnonzero((strip[1] != BACKGROUND).any(1))
    assert len(coloured) == round(strip.shape[1] / 2)
    beyond = drawn(scores([7, -3, 0, 0, 0], [1, 0, 0, 0, 0]))[0]  # numbers outside 0 to 1
    assert (beyond[1] != BACKGROUND).any(1).all()


def test_labels_stay_within_the_bar(drawn):
    """The longest name reaches the edge, and names are optional."""
    plain = drawn(scores([0] * 5, [0] * 5), [''] * 5)[0]
    named = drawn(scores([0, 0, 0.01, 0, 0], [0, 0, 0.01, 0, 0]))[0]
    changed = np.flatnonzero(np.abs(named.astype(int) - plain).max(axis=(0, 2)) > 60)
    assert changed.max() > 0.8 * plain.shape[1]


def test_live_frames_show_the_current_scores():
    now = [None]
    frames = np.full((3, 48, 64, 3), 128, np.uint8)
    drawn = []
    for frame in draw_live(iter(frames), lambda: now[0], LABELS, 2):
        drawn.append(frame)
        now[0] = np.float32([0.2, 0.7, 0.1, 0, 0])
    strips = [frame[-40:] for frame in drawn]
    assert (strips[0] == BACKGROUND).all()
    assert colour_at(strips[1], 0.5, 0.1) == 1
    assert np.array_equal(strips[1], strips[2])


def test_a_window_ends_the_stream(monkeypatch):
    keys, shown = iter([-1, -1, ord('q')]), []
    monkeypatch.setattr(cv2, 'imshow', lambda title, frame: shown.append(frame))
    monkeypatch.setattr(cv2, 'waitKey', lambda milliseconds: next(keys))
    frames = np.zeros((5, 4, 4, 3), np.uint8)
    frames[..., 0] = 200
    assert len(list(show(iter(frames), 'title'))) == len(shown) == 3
    assert shown[0][0, 0].tolist() == [0, 0, 200], 'OpenCV shows BGR'


def test_a_window_needs_a_display(monkeypatch):
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match='--show: th'):
        check_display()
    monkeypatch.setenv('DISPLAY', ':0')
    monkeypatch.setattr(cv2, 'getBuildInformation', lambda: '  GUI:       QT5')
    check_display()
    monkeypatch.setattr(cv2, 'getBuildInformation', lambda: '  GUI:       NONE')
    with pytest.raises(InputError, match='no windows'):
        check_display()


def test_pictures_that_are_too_large(tmp_path):
    frames = iter(np.zeros((1, 8, 8192, 3), np.uint8))
    with pytest.raises(InputError, match='MPEG-4 has at most 8190 pixels a side, not 8192x8'):
        write_video(tmp_path / 'a.mp4', frames, fps=25, parents=True)
    frames = iter(np.zeros((1, 8, 8190, 3), np.uint8))
    write_video(tmp_path / 'a.mp4', frames, fps=25, parents=True)


@pytest.mark.parametrize('fps', [119.641, 65.001, 29.97, 0.3, 0.0])
def test_frame_rates(tmp_path, fps):
    """Also those above 65, of slow motion; 0 is unknown."""
    frames = np.zeros((8, 47, 63, 3), np.uint8)
    frames[5:] = 200
    write_video(tmp_path / 'a.mp4', iter(frames), fps, parents=False)
    with VideoReader(str(tmp_path / 'a.mp4')) as reader:
        assert len(reader) == 8
        assert reader.fps == pytest.approx(fps or 25, rel=1e-3)
        read = reader.read(range(8))
    assert read[0].shape == (47, 63, 3)
    assert [int(frame.mean() > 100) for frame in read] == [0] * 5 + [1] * 3

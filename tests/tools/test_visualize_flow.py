import cv2
import numpy as np
import pytest
from support import write_video

from tools.visualize_flow import flow_colours

TOOL = 'visualize_flow.py'


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / 'a.mp4', frames=12)


@pytest.mark.parametrize('suffix', ['png', 'jpg'])
def test_strip(video, tmp_path, tool, suffix):
    out = tmp_path / f'strip.{suffix}'
    tool(TOOL, video, out, '--scale', 96, 72, '--count', 4, '--step', 2)
    strip = cv2.imread(str(out))
    assert strip.shape == (3 * 2 * 72, 4 * 2 * 96, 3)
    frame, colours, arrows = np.split(strip.astype(int), 3)
    # All moves up and left at the same speed: one colour, with some 30 degrees of error.
    hue = cv2.cvtColor(np.uint8(colours[60:84, 80:110]), cv2.COLOR_BGR2HSV)[..., 0]
    assert abs(int(np.median(hue)) * 2 - 225) < 30
    green = (arrows[..., 1] - frame[..., 1]) - (arrows[..., 2] - frame[..., 2])
    assert (green > 100).mean() > 0.005


@pytest.mark.parametrize('suffix', ['mp4', 'avi'])
def test_film(video, tmp_path, tool, suffix):
    out = tmp_path / f'film.{suffix}'
    tool(TOOL, video, out, '--scale', 96, 72, '--start', 3, '--zoom', 1)
    film = cv2.VideoCapture(str(out))
    sizes = [film.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
    assert sizes == [3 * 96, 72]
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 8
    assert film.get(cv2.CAP_PROP_FPS) == 10


def test_colours_of_the_wheel():
    """Right is red, left sky blue; nothing is white; longer is more saturated, up to the rim."""
    flow = np.float32([[(2, 0), (-2, 0), (0, 0), (1, 0), (50, 0)]])
    right, left, still, slow, fast = flow_colours(flow, 2.0)[0]
    np.testing.assert_allclose(right, (255, 0, 0), atol=20)
    np.testing.assert_allclose(left, (0, 209, 255), atol=20)
    assert still.tolist() == [255, 255, 255]
    assert 100 < slow[1] < 150
    np.testing.assert_allclose(fast, right, atol=1)


def test_a_picture_smaller_than_the_wheel(video, tmp_path, tool):
    tool(TOOL, video, tmp_path / 'a.png', '--scale', 8, 8, '--zoom', 1)
    assert (tmp_path / 'a.png').exists()


def test_bad_input(video, tmp_path, fails):
    assert 'nope.mp4: no such video' in fails(TOOL, tmp_path / 'nope.mp4', tmp_path / 'a.png')
    message = fails(TOOL, video, tmp_path / 'a.png', '--start', 11)
    assert 'a.mp4: too short: flow from frame 11 needs a frame after it' in message
    assert 'cannot write a picture' in fails(TOOL, video, tmp_path / 'a.xyz')
    assert 'a.png: cannot write there: No such' in fails(TOOL, video, tmp_path / 'nope/a.png')
    assert 'a.mp4: cannot write there: No such' in fails(TOOL, video, tmp_path / 'nope/a.mp4')
    assert '--start has to be at least 0' in fails(TOOL, video, tmp_path / 'a.png', '--start', -1)
    assert '--zoom has to be at least 1' in fails(TOOL, video, tmp_path / 'a.png', '--zoom', 0)

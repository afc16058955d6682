import runpy
import sys
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from support import ROOT

from experiments import motion, motion_picture
from experiments.motion import FRAMES, MOTIONS, SIZE, make_dataset, render, write_video
from r21d_plugin import InputError
from r21d_plugin._compat import pairwise
from r21d_plugin.datasets.video_reader import VideoReader

TRAIN, VAL = 20, 10


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp('motion') / 'data'
    assert len(list(make_dataset(out, TRAIN, VAL, seed=3, workers=2))) == TRAIN + VAL
    return out


@pytest.fixture(scope='module')
def videos():
    """Read the gray frames, T x H x W, of the videos of each class: class -> list."""
    return {
        name: [grey(render(m, np.random.default_rng([i, label]))) for i in range(8)]
        for label, (name, m) in enumerate(MOTIONS.items())
    }


def grey(frames):
    return frames.astype(np.float32).mean(-1)


def contents(out):
    return {p.relative_to(out): p.read_bytes() for p in out.rglob('*') if p.is_file()}


def shift_per_frame(frames):
    """Return the median movement to the right and down, in pixels per frame."""
    window = cv2.createHanningWindow((SIZE, SIZE), cv2.CV_32F)
    # OpenCV 5 applies the window to its arguments in place.
    shifts = [cv2.phaseCorrelate(a.copy(), b.copy(), window)[0] for a, b in pairwise(frames)]
    return np.median(shifts, axis=0)


def warped(image, turn, scale):
    """Rotate an image clockwise by some degrees and magnify it about its middle."""
    centre = ((SIZE - 1) / 2, (SIZE - 1) / 2)
    return cv2.warpAffine(image, cv2.getRotationMatrix2D(centre, -turn, scale), (SIZE, SIZE))


def error_of(frames, turn=0.0, scale=1.0):
    """Return how badly a motion predicts the middle of each next frame."""
    middle = slice(SIZE // 4, -SIZE // 4)
    pairs = pairwise(frames)
    return np.mean(
        [np.abs(warped(a, turn, scale)[middle, middle] - b[middle, middle]) for a, b in pairs]
    )


@pytest.mark.parametrize(('split', 'count'), [('train', TRAIN), ('val', VAL)])
def test_layout(dataset, split, count):
    assert (dataset / 'label_map_motion.txt').read_text().split() == list(MOTIONS)
    lines = (dataset / f'motion_{split}_list_videos.txt').read_text().splitlines()
    names, labels = zip(*(line.split(' ') for line in lines))
    assert sorted(names) == sorted(p.name for p in (dataset / f'videos_{split}').iterdir())
    assert np.bincount(np.int64(labels)).tolist() == [count // len(MOTIONS)] * len(MOTIONS)


def test_files_decode(dataset):
    for path in dataset.rglob('*.mp4'):
        frames = list(VideoReader(path).frames())
        assert np.shape(frames) == (FRAMES, SIZE, SIZE, 3)


@pytest.mark.parametrize('name', MOTIONS)
def test_codec_keeps_the_picture(tmp_path, name):
    frames = render(MOTIONS[name], np.random.default_rng(0))
    write_video(tmp_path / 'a.mp4', frames)
    decoded = np.stack(list(VideoReader(tmp_path / 'a.mp4').frames()))
    # Brightness, because the codec halves the resolution of colour.
    weights = np.float32([0.114, 0.587, 0.299])
    error = np.square(frames @ weights - decoded @ weights[::-1]).mean(axis=(1, 2))
    assert 10 * np.log10(255**2 / error.max()) > 30


def test_files_depend_only_on_the_seed(dataset, tmp_path):
    for seed in (3, 4):
        list(make_dataset(tmp_path / str(seed), TRAIN, VAL, seed=seed, workers=1))
    same, other = contents(tmp_path / '3'), contents(tmp_path / '4')
    assert same == contents(dataset)
    videos = [path for path in same if path.suffix == '.mp4']
    assert len({same[path] for path in videos} | {other[path] for path in videos}) == 2 * len(
        videos
    )


@pytest.mark.parametrize('name', [n for n, m in MOTIONS.items() if m.shift != (0.0, 0.0)])
def test_translation(videos, name):
    expected = np.array(MOTIONS[name].shift)
    for frames in videos[name]:
        # Speeds are up to 20% off their class's, and phase correlation rounds towards 0.
        np.testing.assert_allclose(
            shift_per_frame(frames), expected, atol=0.4 * np.abs(expected).max()
        )


@pytest.mark.parametrize('name', ['clockwise', 'counterclockwise'])
def test_rotation(videos, name):
    turn = MOTIONS[name].turn
    for frames in videos[name]:
        assert error_of(frames, turn) < min(error_of(frames), error_of(frames, -turn)) / 1.5


@pytest.mark.parametrize(('name', 'sign'), [('zoom_in', 1), ('zoom_out', -1)])
def test_zoom(videos, name, sign):
    low, high = motion.SCALES
    growth = (high / low) ** (sign / (FRAMES - 1))
    for frames in videos[name]:
        assert error_of(frames, scale=growth) < error_of(frames, scale=1 / growth) / 1.5
        assert error_of(frames[::-1], scale=1 / growth) < error_of(frames[::-1], scale=growth) / 1.5


@pytest.mark.parametrize('statistic', [np.mean, np.std, lambda x: np.abs(np.diff(x)).mean()])
def test_frames_look_alike_in_all_classes(videos, statistic):
    classes = np.array([[statistic(f) for v in videos[n] for f in v] for n in MOTIONS])
    means = classes.reshape(len(MOTIONS), -1, FRAMES).mean(axis=2)  # class x video
    standard_error = means.std() / np.sqrt(means.shape[1])
    assert np.abs(means.mean(axis=1) - means.mean()).max() < 4 * standard_error


def test_views_have_one_distribution_in_all_classes(monkeypatch):
    """Scale, angle and position of a frame say nothing about its class.

    One frame of each of 400 videos a class, compared by the largest distance
    between the class's distribution and that of the others (Kolmogorov-Smirnov).
    """
    views = []
    monkeypatch.setattr(motion, 'texture', lambda rng: np.zeros((256, 256, 3), np.uint8))
    monkeypatch.setattr(motion, 'view', lambda *args: views.append(args) or args[0])
    rng = np.random.default_rng(0)
    classes = []
    for m in MOTIONS.values():
        picked = []
        for _ in range(400):
            views.clear()
            render(m, rng)
            canvas, centre, angle, scale, shift = views[rng.integers(FRAMES)]
            radians = np.deg2rad(angle)
            back = np.array(
                [[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]]
            )
            position = (centre - back @ shift / scale) % len(canvas)
            picked.append([scale, angle % 360, *position])
        classes.append(np.array(picked))
    for label, mine in enumerate(classes):
        others = np.concatenate(classes[:label] + classes[label + 1 :])
        # By chance 0.12 is exceeded about once in 100000 comparisons.
        assert max(map(ks_distance, mine.T, others.T)) < 0.12


def ks_distance(a, b):
    points = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(x), points, 'right') / len(x) for x in (a, b)]
    return np.abs(below[0] - below[1]).max()


@pytest.mark.parametrize('wrong', [dict(train=0), dict(val=-1), dict(workers=0), dict(seed=-1)])
def test_wrong_numbers(tmp_path, wrong):
    with pytest.raises(InputError, match='at least'):
        list(make_dataset(tmp_path, **(dict(train=1, val=1) | wrong)))


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match='file: cannot write the dataset there'):
        list(make_dataset(tmp_path / 'file', 1, 1))


def test_no_lists_before_all_videos(tmp_path):
    videos = make_dataset(tmp_path, 10, 10)
    for _ in range(15):
        next(videos)
    videos.close()
    assert not list(tmp_path.glob('*.txt'))
    assert not list(tmp_path.rglob('.partial.*'))


def test_command_line(tmp_path, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['make_motion.py', str(tmp_path / 'out'), *arguments])
        runpy.run_path(str(ROOT / 'experiments/make_motion.py'), run_name='__main__')

    run('--train', '2', '--val', '1', '--workers', '1')
    assert len(list((tmp_path / 'out').rglob('*.mp4'))) == 3
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run('--train', '0')
    # A text as exit code is printed to stderr and becomes status 1.
    assert stop.value.code.startswith('error: train, val and workers must be at least 1')
    assert 'Traceback' not in capsys.readouterr().err


def test_picture_of_the_readme():
    """Both rows show one texture, so they meet in one frame."""
    drawn = ElementTree.fromstring(motion_picture.picture())
    hrefs = [element.attrib['href'] for element in drawn if element.tag.endswith('image')]
    right, left = np.split(np.array(hrefs), 2)
    assert np.flatnonzero(right == left).tolist() == [motion_picture.SHOWN.index(FRAMES // 2)]
    stored = ElementTree.parse(ROOT / 'docs/motion.svg').getroot()
    assert [element.tag for element in stored] == [element.tag for element in drawn]

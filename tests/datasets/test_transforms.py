"""The random shift, and gray frames in training and prediction."""

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from r21d_plugin import InputError
from r21d_plugin.datasets import FixedCrops, RandomShift, SampleFramesOfClips, ToGray


def test_a_shift():
    frames = [np.arange(60, dtype=np.uint8).reshape(5, 4, 3) + i for i in range(2)]
    seen = set()
    np.random.seed(0)
    for _ in range(200):
        results = RandomShift(2, fill=(1, 2, 200.4)).transform(dict(imgs=frames))
        down, right = results['img_shift']
        seen.add((down, right))
        for before, after in zip(frames, results['imgs']):
            padded = np.empty((9, 8, 3), np.uint8)
            padded[:] = (1, 2, 200)
            padded[2:7, 2:6] = before
            window = padded[2 - down : 7 - down, 2 - right : 6 - right]
            np.testing.assert_array_equal(after, window)
    assert seen == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}
    assert frames[0][0, 0, 0] == 0, 'the frames that came are as they were'


def test_a_shift_larger_than_the_frame():
    (img,) = RandomShift(9, fill=7).transform(dict(imgs=[np.zeros((2, 2, 1), np.uint8)]))['imgs']
    assert img.shape == (2, 2, 1)


def test_gray():
    gray = np.random.default_rng(0).integers(0, 256, (4, 5), np.uint8)
    frame = np.stack([gray] * 3, -1)
    (img,) = ToGray().transform(dict(imgs=[frame]))['imgs']
    np.testing.assert_array_equal(img, gray[..., None])
    form = TRANSFORMS.build(dict(type='FormatShape', input_format='NCTHW'))
    assert form(dict(imgs=[img] * 6, num_clips=2, clip_len=3))['imgs'].shape == (2, 1, 3, 4, 5)


@pytest.mark.parametrize(('frames', 'starts'), [(20, range(14)), (7, [0]), (5, [0])])
@pytest.mark.parametrize('options', [{}, dict(target_fps=25)])
def test_every_clip(frames, starts, options):
    sample = SampleFramesOfClips(4, frame_interval=2, num_clips='all', test_mode=True, **options)
    found = sample(dict(total_frames=frames, start_index=0, avg_fps=25))
    expected = [(start + 2 * np.arange(4)) % frames for start in starts]
    np.testing.assert_array_equal(found['frame_inds'].reshape(-1, 4), expected)
    assert found['num_clips'] == len(starts)


def test_every_clip_is_for_tests():
    with pytest.raises(InputError, match='add test_mode=True'):
        SampleFramesOfClips(4, num_clips='all')


def test_crops_that_do_not_fit():
    with pytest.raises(InputError, match='count=3: use 1 or 10'):
        FixedCrops(count=3)
    with pytest.raises(InputError, match=r'size=112: the frames have \(64, 85\) pixels'):
        FixedCrops().transform(dict(imgs=[np.zeros((64, 85, 3), np.uint8)]))

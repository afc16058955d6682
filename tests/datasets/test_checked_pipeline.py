import numpy as np
import pytest
from support import write_video

from r21d_plugin import InputError
from r21d_plugin.datasets import CheckedPipeline, LabelledVideoDataset, ReadFrames
from r21d_plugin.datasets.pipelines import clip_pipelines

READ = dict(type='r21d_plugin.ReadFrames', scale=(171, 128))
FIXED = dict(type='Resize', scale=(64, 48), keep_ratio=False)
THREE = 'ThreeCrop needs a side of the frames, such as 128'


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        (
            [READ, dict(type='CenterCrop', crop_size=224)],
            'CenterCrop with crop_size=224x224 of frames of 171x128: lower crop_size, or raise',
        ),
        ([READ, dict(type='RandomCrop', size=129)], 'RandomCrop with size=129x129 of frames'),
        ([READ, dict(type='ThreeCrop', crop_size=(172, 128))], 'ThreeCrop with crop_size=172x128'),
        ([READ, dict(type='ThreeCrop', crop_size=112)], THREE),
        ([READ, dict(type='TenCrop', crop_size=130)], 'TenCrop with crop_size=130x130'),
        ([READ, dict(type='CenterCrop', crop_size=0)], 'crop_size=0x0'),
        ([dict(READ, scale=(-1, 128)), dict(type='CenterCrop', crop_size=130)], 'side of 128'),
        (
            [READ, dict(type='Resize', scale=(np.inf, 64)), dict(type='CenterCrop', crop_size=65)],
            'frames with a shorter side of 64',
        ),
        (
            [FIXED, dict(type='Flip'), dict(type='CenterCrop', crop_size=(48, 64))],
            'crop_size=48x64 of frames of 64x48',
        ),
        (
            [READ, dict(type='CenterCrop', crop_size=100), dict(type='CenterCrop', crop_size=112)],
            'crop_size=112x112 of frames of 100x100',
        ),
        (
            [READ, dict(type='r21d_plugin.FarnebackFlow'), dict(type='Flip')],
            'Flip after FarnebackFlow: mirror the frames, before their flow',
        ),
    ],
)
def test_a_wrong_transform_is_found_when_the_dataset_is_built(steps, message, tmp_path):
    (tmp_path / 'list.txt').write_text('a.mp4 0\n')
    with pytest.raises(InputError, match=message):
        LabelledVideoDataset(str(tmp_path / 'list.txt'), 1, pipeline=steps)


def frames(height, width):
    return dict(
        imgs=list(np.zeros((2, height, width, 3), np.uint8)),
        img_shape=(height, width),
        modality='RGB',
        filename='a.mp4',
    )


@pytest.mark.parametrize(
    'crop',
    [
        dict(type='CenterCrop', crop_size=112),
        dict(type='RandomCrop', size=112),
        dict(type='ThreeCrop', crop_size=112),
        dict(type='TenCrop', crop_size=112),
    ],
)
def test_frames_of_unknown_size_are_checked_with_each_sample(crop):
    pipeline = CheckedPipeline([crop])
    assert {image.shape for image in pipeline(frames(112, 150))['imgs']} == {(112, 112, 3)}
    with pytest.raises(InputError, match=r'a\.mp4: .*=112x112 of frames of 150x111: lower'):
        pipeline(frames(111, 150))


def test_valid_pipelines(tmp_path):
    for steps in (
        [READ, dict(type='ThreeCrop', crop_size=128)],
        [dict(READ, scale=(-1, 128)), dict(type='CenterCrop', crop_size=(160, 128))],
        [READ, dict(type='RandomResizedCrop'), dict(type='CenterCrop', crop_size=300)],
        [READ, dict(type='Resize', scale=(-1, 256)), dict(type='ThreeCrop', crop_size=256)],
        [READ, dict(type='Resize', scale=2.0), dict(type='ThreeCrop', crop_size=256)],
        [],
    ):
        pipeline = CheckedPipeline(steps)
    assert pipeline(dict(a=1)) == dict(a=1)
    assert CheckedPipeline([lambda results: None, dict(READ)])({}) is None


@pytest.mark.parametrize(
    'wrong',
    [
        *(dict(test_clips=0), dict(test_clips=-3), dict(clip_len=0), dict(clip_len=8.0)),
        *(dict(frame_interval=0), dict(crop=0), dict(crop='112'), dict(flip=2), dict(flip=-0.5)),
        *(dict(scale=(0, 128)), dict(scale=(171, -2)), dict(scale=(-1, -1)), dict(scale=128)),
    ],
    ids=str,
)
def test_values_of_clip_pipelines(wrong):
    ((key, value),) = wrong.items()
    with pytest.raises(InputError) as error:
        clip_pipelines(**dict(dict(clip_len=8), **wrong))
    assert str(error.value).startswith(f'{key}={value!r}: ')


@pytest.mark.parametrize(
    'wrong',
    [
        *(dict(clip_len=-8), dict(num_clips=0), dict(num_clips=True), dict(frame_interval=0)),
        dict(flow_gap=-1),
    ],
    ids=str,
)
@pytest.mark.parametrize('name', ['SampleFramesOfClips', 'SampleClips'])
def test_values_of_sampling(name, wrong):
    ((key, value),) = wrong.items()
    with pytest.raises(InputError) as error:
        CheckedPipeline([dict(dict(type=f'r21d_plugin.{name}', clip_len=8), **wrong)])
    assert str(error.value).startswith(f'{key}={value!r}: use a whole number, at least ')


@pytest.mark.parametrize(
    'scale', [(0, 128), (-2, 128), (-1, -1), (171.5, 128), (171,), (1, 2, 3), 171, 'ab', (None, 1)]
)
def test_values_of_reading(scale):
    with pytest.raises(InputError) as error:
        ReadFrames(scale=scale)
    assert str(error.value).startswith(f'scale={scale!r}: give width and height in pixels, or -1')
    with pytest.raises(InputError, match='decode=False with scale='):
        ReadFrames(scale=(-1, 128), decode=False)


@pytest.mark.parametrize('scale', [(-1, 64), (64, -1), (np.inf, 64), (64, np.inf), [-1, 64]])
@pytest.mark.parametrize('size', [(200, 150), (150, 200), (40, 30)])
def test_a_shorter_side_keeps_the_aspect_ratio_as_mmactions_resize_does(tmp_path, scale, size):
    path = write_video(tmp_path / 'a.mp4', 12, size=size)
    info = dict(filename=str(path), start_index=0)
    load = [
        dict(type='r21d_plugin.OpenVideo'),
        dict(type='r21d_plugin.SampleFramesOfClips', clip_len=8, num_clips=2, test_mode=True),
    ]
    ours = CheckedPipeline([*load, dict(type='r21d_plugin.ReadFrames', scale=scale)])(dict(info))
    resize = [dict(type='DecordDecode'), dict(type='Resize', scale=(-1, 64))]
    theirs = CheckedPipeline([dict(type='DecordInit'), load[1], *resize])(dict(info))
    np.testing.assert_array_equal(ours['imgs'], theirs['imgs'])
    for key in ('img_shape', 'original_shape', 'scale_factor', 'keep_ratio'):
        np.testing.assert_array_equal(ours[key], theirs[key])

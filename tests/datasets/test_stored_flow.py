"""Stored flow, compared with flow computed on the fly from whole frames."""

import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from support import write_video

from r21d_plugin import InputError
from r21d_plugin.datasets.flow import mirror, stored_flow
from r21d_plugin.datasets.flow_extraction import extract_all
from r21d_plugin.datasets.flow_store import STEP, StoredFlow, find_flow
from r21d_plugin.datasets.pipelines import clip_pipelines
from r21d_plugin.datasets.video_files import find_videos

SCALE = (85, 64)
CROP = dict(type='CenterCrop', crop_size=48)
META = ('filename', 'flip', 'crop_bbox', 'img_shape')


def pipeline(*cut, root=None, stream='flow', **numbers):
    """Build a test pipeline of three clips with different crops and flips."""
    numbers = {**dict(scale=SCALE, flow_root=root and str(root)), **numbers}
    steps = clip_pipelines(8, stream, 3, **numbers)[2]
    steps[3:4] = cut
    steps[-1]['meta_keys'] = META
    return steps


def run(pipeline, path):
    return Compose(pipeline)(dict(filename=str(path), start_index=0, modality='RGB', label=0))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Make a folder with ``videos`` and their ``flow``."""
    root = tmp_path_factory.mktemp('stored')
    (root / 'videos/sub').mkdir(parents=True)
    for i, name in enumerate(('a.mp4', 'sub/a.mp4', 'b b.avi')):
        write_video(root / 'videos' / name, frames=20 + i, seed=i)
    write_video(root / 'videos/short.mp4', frames=3)
    done = list(extract_all(root / 'videos', find_videos(root / 'videos'), root / 'flow', SCALE, 2))
    assert len(done) == 4
    assert all(extraction.computed for extraction in done)
    return root


def expected(path, bbox, flip):
    """Compute flow of whole frames with plain code, then crop and mirror it."""
    inputs = run(pipeline(), path)['inputs'].numpy()
    left, top, right, bottom = bbox
    fields = inputs.transpose(0, 2, 3, 4, 1)[:, :, top:bottom, left:right]
    fields = mirror(fields) if flip else fields
    return fields.transpose(0, 4, 1, 2, 3)


@pytest.mark.parametrize('name', ['a.mp4', 'sub/a.mp4', 'b b.avi', 'short.mp4'])
@pytest.mark.parametrize('flip', [0, 1])
@pytest.mark.parametrize('crop', [CROP, dict(type='RandomCrop', size=48), None])
def test_differs_from_on_the_fly_by_the_storage_error(root, name, flip, crop):
    cut = [crop] if crop else []
    path = root / 'videos' / name
    stored = pipeline(*cut, dict(type='Flip', flip_ratio=flip), root=root / 'flow')
    assert not stored[2]['decode'], 'no frame is decoded'
    packed = run(stored, path)
    bbox = packed['data_samples'].metainfo.get('crop_bbox', (0, 0, *SCALE))
    error = np.abs(packed['inputs'].numpy() - expected(path, bbox, flip))
    assert error.max() <= STEP / 2 + 1e-6
    assert error.max() > STEP / 4, 'this is the stored flow, not another computation'


def test_two_streams(root):
    path = root / 'videos/a.mp4'
    flip = dict(type='Flip', flip_ratio=1)
    on_the_fly = run(pipeline(CROP, flip, stream='twostream'), path)['inputs']
    stored = run(pipeline(CROP, flip, stream='twostream', root=root / 'flow'), path)['inputs']
    assert (stored['imgs'] == on_the_fly['imgs']).all()
    inner = np.abs(stored['flow'] - on_the_fly['flow'])[..., 20:-20, 20:-20]
    assert inner.mean() < STEP


def test_finds_the_longest_path(root):
    flow = root / 'flow'
    for name in ('a.mp4', 'sub/a.mp4'):
        for video in (Path('videos') / name, root / 'videos' / name):
            assert find_flow(flow, video).path == flow / f'{name}.flow.zip'
    with pytest.raises(InputError, match=r'c\.mp4: no flow in '):
        find_flow(flow, Path('c.mp4'))


def test_frames_of_an_interval(root):
    for steps in (dict(frame_interval=2), dict(target_fps=12.5)):
        with pytest.raises(InputError, match='frame 0 to 2 is not stored, only to the next frame'):
            run(pipeline(root=root / 'flow', **steps), root / 'videos/a.mp4')
    slow = run(pipeline(root=root / 'flow', target_fps=50), root / 'videos/a.mp4')['inputs']
    assert not slow[0, :, ::2].any()


def test_bad_stored_flow(root, tmp_path):
    path = root / 'videos/a.mp4'
    with pytest.raises(InputError, match=r'nope.: no such folder of stored flow'):
        run(pipeline(CROP, root=tmp_path / 'nope'), path)
    with pytest.raises(InputError, match=r'flow of 85x64 pixels, which differs from the scale'):
        run(pipeline(CROP, root=root / 'flow', scale=(171, 128)), path)

    file = tmp_path / 'a.mp4.flow.zip'
    shutil.copy(root / 'flow/b b.avi.flow.zip', file)
    with pytest.raises(InputError, match='flow of another video than'):
        run(pipeline(CROP, root=tmp_path), path)
    file.write_bytes((root / 'flow/a.mp4.flow.zip').read_bytes()[:5000])
    with pytest.raises(InputError, match='not a flow file'):
        run(pipeline(CROP, root=tmp_path), path)
    content = bytearray((root / 'flow/a.mp4.flow.zip').read_bytes())
    content[200:300] = bytes(100)
    file.write_bytes(content)
    with pytest.raises(InputError, match='field 0 is damaged'):
        run(pipeline(CROP, root=tmp_path), path)


@pytest.mark.parametrize(
    'cut',
    [
        [dict(type='ThreeCrop', crop_size=64)],
        [dict(type='Flip', flip_ratio=1), CROP],
        [CROP, dict(type='CenterCrop', crop_size=32)],
        [CROP, dict(type='Resize', scale=(32, 32), keep_ratio=False)],
        [CROP, dict(type='r21d_plugin.RandomShift', padding=3)],
    ],
    ids=['three crops', 'flip before crop', 'two crops', 'resized', 'shifted'],
)
def test_steps_that_stored_flow_cannot_follow(root, cut):
    steps = pipeline(*cut, root=root / 'flow')
    steps[2]['decode'] = True  # some of the steps need frames
    with pytest.raises(InputError, match='one crop and then one flip at most'):
        run(steps, root / 'videos/a.mp4')


def test_a_file_is_a_zip_of_pictures(root):
    with zipfile.ZipFile(root / 'flow/a.mp4.flow.zip') as archive:
        assert len(archive.namelist()) == 19 + 1
        content = np.frombuffer(archive.read('000000.tiff'), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    assert image.shape == (2 * SCALE[1], SCALE[0])
    flow = StoredFlow(root / 'flow/a.mp4.flow.zip').read(0)
    np.testing.assert_array_equal(flow[..., 0], (image[: SCALE[1]] - 32768.0) * STEP)


def test_flow_of_another_video(root):
    """A video that was replaced, and frames that are no video's."""
    video = dict(filename=str(root / 'videos/a.mp4'), total_frames=19)
    with pytest.raises(InputError, match=r'a\.mp4\S+: flow of 20 frames, not 19: extract it again'):
        stored_flow(video, str(root / 'flow'))
    with pytest.raises(InputError, match='stored flow is for videos, not for single frames'):
        stored_flow(dict(total_frames=20), str(root / 'flow'))

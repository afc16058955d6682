"""Flow read back, against flow computed on the fly from whole frames."""

import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from support import write_video

from r21d_plugin import InputError
from r21d_plugin.datasets import LabelledVideoDataset, pipelines
from r21d_plugin.datasets.flow import mirror
from r21d_plugin.datasets.flow_extraction import extract_all
from r21d_plugin.datasets.flow_store import STEP, FlowFile, FlowFolder, find_flow
from r21d_plugin.datasets.video_files import find_videos

SCALE = (85, 64)
RGB = [
    dict(type='r21d_plugin.DecordClipInit'),
    dict(type='r21d_plugin.SampleClips', clip_len=8, num_clips=3, test_mode=True),
    dict(type='r21d_plugin.DecordClipDecode', scale=SCALE),
    dict(type='CenterCrop', crop_size=48),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('filename', 'flip', 'crop_bbox', 'img_shape')),
]
FLOW = pipelines.with_flow(RGB)
BOTH = pipelines.with_two_streams(RGB)


def run(pipeline, path):
    return Compose(pipeline)(dict(filename=str(path), start_index=0, modality='RGB', label=0))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A folder of videos, ``videos``, and their flow, ``flow``."""
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
    """Flow of whole frames by plain code, then cropped and mirrored."""
    whole = pipelines.changed(FLOW, 'CenterCrop', lambda _: [])
    whole = pipelines.changed(whole, 'Flip', lambda _: [])
    inputs = run(whole, path)['inputs'].numpy()
    left, top, right, bottom = bbox
    fields = inputs.transpose(0, 2, 3, 4, 1)[:, :, top:bottom, left:right]
    fields = mirror(fields) if flip else fields
    return fields.transpose(0, 4, 1, 2, 3)


@pytest.mark.parametrize('name', ['a.mp4', 'sub/a.mp4', 'b b.avi', 'short.mp4'])
@pytest.mark.parametrize('flip', [0, 1])
@pytest.mark.parametrize('crop', ['CenterCrop', 'RandomCrop', None])
def test_differs_from_on_the_fly_by_the_storage_error(root, name, flip, crop):
    pipeline = pipelines.changed(FLOW, 'Flip', lambda t: [dict(t, flip_ratio=flip)])
    if crop == 'RandomCrop':
        crops = [dict(type=crop, size=48)]
    else:
        crops = [dict(type=crop, crop_size=48)] if crop else []
    pipeline = pipelines.changed(pipeline, 'CenterCrop', lambda _: crops)
    path = root / 'videos' / name
    packed = run(pipelines.with_stored_flow(pipeline, str(root / 'flow')), path)
    bbox = packed['data_samples'].metainfo.get('crop_bbox', (0, 0, *SCALE))
    error = np.abs(packed['inputs'].numpy() - expected(path, bbox, flip))
    assert error.max() <= STEP / 2 + 1e-6
    assert error.max() > STEP / 4, 'this is the stored flow, not another computation'


def test_the_video_need_not_exist(root, tmp_path):
    pipeline = pipelines.with_stored_flow(FLOW, str(root / 'flow'))
    np.random.seed(0)
    here = run(pipeline, root / 'videos/sub/a.mp4')['inputs']
    np.random.seed(0)
    gone = run(pipeline, tmp_path / 'videos/sub/a.mp4')['inputs']
    assert (here == gone).all()


def test_two_streams(root):
    path = root / 'videos/a.mp4'
    np.random.seed(0)
    on_the_fly = run(BOTH, path)['inputs']
    np.random.seed(0)
    stored = run(pipelines.with_stored_flow(BOTH, str(root / 'flow')), path)['inputs']
    assert (stored['imgs'] == on_the_fly['imgs']).all()
    inner = np.abs(stored['flow'] - on_the_fly['flow'])[..., 20:-20, 20:-20]
    assert inner.mean() < STEP


def test_finds_the_longest_path(root):
    flow = root / 'flow'
    for name in ('a.mp4', 'sub/a.mp4'):
        assert find_flow(flow, Path('videos') / name) == flow / f'{name}.flow.zip'
        assert find_flow(flow, root / 'videos' / name) == flow / f'{name}.flow.zip'
    assert find_flow(flow, Path('c.mp4')) is None


def test_merging_stored_flow(root):
    merging = [dict(type='r21d_plugin.FarnebackFlow', gap=2, merge=True)]
    pipeline = pipelines.changed(FLOW, 'FarnebackFlow', lambda _: merging)
    pipeline = pipelines.changed(pipeline, 'SampleClips', lambda t: [dict(t, flow_gap=2)])
    pipeline = pipelines.changed(pipeline, 'CenterCrop', lambda _: [])
    pipeline = pipelines.changed(pipeline, 'Flip', lambda _: [])
    path = root / 'videos/a.mp4'
    computed = run(pipeline, path)['inputs']
    stored = run(pipelines.with_stored_flow(pipeline, str(root / 'flow')), path)['inputs']
    assert np.abs(computed - stored).mean() < STEP
    pipeline = pipelines.changed(
        pipeline, 'FarnebackFlow', lambda _: [dict(type='r21d_plugin.FarnebackFlow', gap=2)]
    )
    with pytest.raises(InputError, match='frame 0 to 2 is not stored'):
        run(pipelines.with_stored_flow(pipeline, str(root / 'flow')), path)


def stored(root, scale=SCALE):
    decode = [dict(type='r21d_plugin.DecordClipDecode', scale=scale)]
    return pipelines.with_stored_flow(
        pipelines.changed(BOTH, 'DecordClipDecode', lambda _: decode), str(root)
    )


def test_bad_stored_flow(root, tmp_path):
    path = root / 'videos/a.mp4'
    with pytest.raises(InputError, match=r'nope: no such folder of stored flow'):
        run(stored(tmp_path / 'nope'), path)
    with pytest.raises(InputError, match=r'a\.mp4: no flow of it in '):
        run(stored(tmp_path), path)
    with pytest.raises(InputError, match=r'flow of 85x64 pixels where 171x128 are needed'):
        run(stored(root / 'flow', (171, 128)), path)

    file = tmp_path / 'a.mp4.flow.zip'
    shutil.copy(root / 'flow/b b.avi.flow.zip', file)
    with pytest.raises(InputError, match='flow of another video than'):
        run(stored(tmp_path), path)
    file.write_bytes((root / 'flow/a.mp4.flow.zip').read_bytes()[:5000])
    with pytest.raises(InputError, match='not a file of flow'):
        run(stored(tmp_path), path)
    content = bytearray((root / 'flow/a.mp4.flow.zip').read_bytes())
    content[200:300] = bytes(100)
    file.write_bytes(content)
    with pytest.raises(InputError, match='field 0 is damaged'):
        run(stored(tmp_path), path)


def test_flow_of_another_length(root, tmp_path):
    write_folder(tmp_path / 'a', 15)
    with pytest.raises(InputError, match=r'a\.mp4: 20 frames, but flow of 16 is stored in'):
        run(stored(tmp_path), root / 'videos/a.mp4')


def test_every_video_is_looked_for_when_training_starts(root, tmp_path):
    (tmp_path / 'list.txt').write_text('a.mp4 0\nc.mp4 1\nd.mp4 0\n')
    with pytest.raises(InputError, match=r'no flow of 2 of 3 videos \(.*c\.mp4, \.\.\.\)'):
        LabelledVideoDataset(
            ann_file=str(tmp_path / 'list.txt'),
            num_classes=2,
            data_prefix=dict(video=str(root / 'videos')),
            pipeline=pipelines.with_stored_flow(FLOW, str(root / 'flow')),
        )


@pytest.mark.parametrize(
    'pipeline',
    [
        RGB,
        pipelines.changed(FLOW, 'CenterCrop', lambda _: [dict(type='ThreeCrop', crop_size=48)]),
        [*FLOW[:3], FLOW[4], FLOW[3], *FLOW[5:]],
    ],
    ids=['rgb', 'three crops', 'flip before crop'],
)
def test_pipelines_that_stored_flow_cannot_follow(pipeline, tmp_path):
    with pytest.raises(InputError, match='stored flow needs a pipeline of'):
        pipelines.with_stored_flow(pipeline, str(tmp_path))


def write_folder(folder, fields, first=1, name='flow_{}_{:05d}.jpg', size=(170, 128)):
    """Fields whose displacement to the right is their number, and 10 down, in pixels."""
    folder.mkdir(parents=True)
    for i in range(fields):
        for axis, value in (('x', i), ('y', 10)):
            gray = np.full(size[::-1], round((value + 20) * 255 / 40), np.uint8)
            cv2.imwrite(str(folder / name.format(axis, i + first)), gray)


@pytest.mark.parametrize('first', [0, 1])
@pytest.mark.parametrize('name', ['flow_{}_{:05d}.jpg', '{}_{:05d}.jpg', 'flow_{}_{:06d}.png'])
def test_folders_of_mmaction(tmp_path, first, name):
    write_folder(tmp_path / 'a', 12, first, name)
    flow = FlowFolder(tmp_path / 'a', SCALE)
    assert flow.frames == 13
    for i in (0, 5, 11):  # half the size, so half the displacement
        np.testing.assert_allclose(flow.read(i)[..., 0], i / 2, atol=0.06)
        np.testing.assert_allclose(flow.read(i)[..., 1], 5, atol=0.06)
    pipeline = pipelines.changed(FLOW, 'Flip', lambda t: [dict(t, flip_ratio=1)])
    inputs = run(pipelines.with_stored_flow(pipeline, str(tmp_path)), Path('videos/a.mp4'))[
        'inputs'
    ]
    assert inputs.shape == (3, 2, 8, 48, 48)
    np.testing.assert_allclose(inputs[0, 0].mean((1, 2)), -np.arange(8) / 2, atol=0.06)


def test_broken_folders(tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(InputError, match=r'empty: no flow_x_00001\.jpg and flow_y_00001\.jpg'):
        FlowFolder(tmp_path / 'empty', SCALE)
    for gap in ('flow_y_00003.jpg', 'flow_x_00003.jpg'):
        write_folder(tmp_path / gap, 5)
        (tmp_path / gap / gap).unlink()
        with pytest.raises(InputError, match='flow_x or flow_y number 3 is missing'):
            FlowFolder(tmp_path / gap, SCALE)
    write_folder(tmp_path / 'late', 5, first=2)
    with pytest.raises(InputError, match='number 1 is missing'):
        FlowFolder(tmp_path / 'late', SCALE)
    write_folder(tmp_path / 'bad', 2)
    (tmp_path / 'bad/flow_x_00001.jpg').write_bytes(b'hello')
    with pytest.raises(InputError, match=r'flow_x_00001\.jpg: not a readable image'):
        FlowFolder(tmp_path / 'bad', SCALE).read(0)


def test_a_file_is_a_zip_of_pictures(root):
    with zipfile.ZipFile(root / 'flow/a.mp4.flow.zip') as archive:
        assert len(archive.namelist()) == 19 + 1
        content = np.frombuffer(archive.read('000000.tiff'), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    assert image.shape == (2 * SCALE[1], SCALE[0])
    flow = FlowFile(root / 'flow/a.mp4.flow.zip', SCALE).read(0)
    np.testing.assert_array_equal(flow[..., 0], (image[: SCALE[1]] - 32768.0) * STEP)

import os
import subprocess
import sys
import tempfile
from copy import deepcopy

import lmdb
import mmcv
import numpy as np
import pytest
from mmengine.dataset import Compose
from servers import folder_server, http_server, send
from support import assert_one_line, write_video

from r21d_plugin import InputError
from r21d_plugin._errors import VideoInputError
from r21d_plugin.datasets import LabelledVideoDataset
from r21d_plugin.datasets.decoding import ReadFrames, all_frames
from r21d_plugin.datasets.video_reader import VideoReader


def pipeline(
    decode, clip_len=8, num_clips=10, test_mode=True, init='r21d_plugin.DecordClipInit', **kw
):
    sample = dict(
        type='r21d_plugin.SampleClips', clip_len=clip_len, num_clips=num_clips, test_mode=test_mode
    )
    return Compose([dict(type=init, **kw), sample, *decode])


OURS = [dict(type='r21d_plugin.DecordClipDecode', scale=(171, 128))]
THEIRS = [dict(type='DecordDecode'), dict(type='Resize', scale=(171, 128), keep_ratio=False)]


def video(path):
    return dict(filename=str(path), start_index=0, modality='RGB', label=0)


@pytest.fixture
def path(tmp_path):
    return write_video(tmp_path / 'a.mp4', frames=30, size=(200, 152))


@pytest.mark.parametrize(('clip_len', 'num_clips'), [(8, 1), (8, 10), (16, 10), (64, 3)])
def test_bit_exact_with_mmaction(path, clip_len, num_clips):
    ours = pipeline(OURS, clip_len, num_clips)(video(path))
    theirs = pipeline(THEIRS, clip_len, num_clips, init='DecordInit')(video(path))
    np.testing.assert_array_equal(ours['imgs'], theirs['imgs'])
    for key in ('frame_inds', 'img_shape', 'original_shape', 'scale_factor', 'keep_ratio'):
        np.testing.assert_array_equal(ours[key], theirs[key])


def test_names_of_earlier_releases(path):
    """Published configs use the old names of the transforms."""
    old = [
        dict(type='r21d_plugin.DecordClipInit'),
        dict(type='r21d_plugin.SampleClips', clip_len=8, num_clips=2, test_mode=True),
        dict(type='r21d_plugin.DecordClipDecode', scale=(64, 48)),
    ]
    new = deepcopy(old)
    for step, name in zip(new, ('OpenVideo', 'SampleFramesOfClips', 'ReadFrames')):
        step['type'] = f'r21d_plugin.{name}'
    imgs = [Compose(steps)(video(path))['imgs'] for steps in (old, new)]
    np.testing.assert_array_equal(*imgs)


READ = dict(type='r21d_plugin.ReadFrames', scale=(64, 48))


@pytest.mark.parametrize('threads', [2, 4])
def test_threads_do_not_change_frames(tmp_path, threads):
    long = write_video(tmp_path / 'long.mp4', frames=150, size=(200, 152))
    one, several = (pipeline(OURS, num_threads=n)(video(long))['imgs'] for n in (1, threads))
    np.testing.assert_array_equal(one, several)


def test_interpolation(path):
    results = pipeline([dict(READ, interpolation='nearest')])(video(path))
    frames = list(all_frames(str(path)))
    resized = [mmcv.imresize(frame, (64, 48), interpolation='nearest') for frame in frames]
    np.testing.assert_array_equal(results['imgs'], [resized[i] for i in results['frame_inds']])


@pytest.mark.parametrize('given', ['imgs', 'array', 'frame_dir', 'video_reader'])
def test_existing_frames(path, tmp_path, given):
    frames = np.stack(list(all_frames(str(path))))
    for number, frame in enumerate(frames):
        mmcv.imwrite(frame[..., ::-1], str(tmp_path / f'frames/{number + 2}.png'))
    info = dict(
        imgs=dict(imgs=list(frames[[3, 3, 7]])),
        array=dict(array=frames),
        frame_dir=dict(frame_dir=str(tmp_path / 'frames'), filename_tmpl='{}.png', offset=2),
        video_reader=dict(filename=str(path), video_reader='of another program'),
    )[given]
    steps = Compose([dict(type='r21d_plugin.OpenVideo'), READ])
    results = steps(dict(info, frame_inds=np.array([3, 3, 7]), img_shape=None))
    expected = [mmcv.imresize(frames[i], (64, 48)) for i in (3, 3, 7)]
    np.testing.assert_array_equal(results['imgs'], expected)
    assert not np.shares_memory(*results['imgs'][:2])
    assert (results['img_shape'], results['original_shape']) == ((48, 64), (152, 200))
    if given in ('array', 'video_reader'):
        assert results['total_frames'] == 30


def test_invalid_frames(tmp_path):
    read = Compose([READ])
    for shape in ((8, 8), (8, 8, 2)):
        with pytest.raises(InputError, match='give RGB, H x W x 3 uint8'):
            read(dict(array=np.zeros((4, *shape), np.uint8), frame_inds=np.arange(2)))
    info = dict(frame_dir=str(tmp_path), filename_tmpl='{:03}.png', frame_inds=np.arange(2))
    (tmp_path / '000.png').write_text('text')
    for name in ('000.png', '001.png'):
        with pytest.raises(VideoInputError, match=f'{name}: no readable picture'):
            read(dict(info, frame_inds=[int(name[:3])]))


def test_decodes_each_frame_once(path, decoded_packets):
    pipeline(OURS, num_clips=1)(video(path))  # counts them as well
    decoded_packets.clear()
    results = pipeline(OURS, clip_len=16, num_clips=10)(video(path))
    assert len(results['imgs']) == 160
    assert len(decoded_packets) == len(np.unique(results['frame_inds'])) == 30


@pytest.fixture
def closed(monkeypatch):
    """Record the readers that are closed."""
    closed = []
    close = VideoReader.close
    monkeypatch.setattr(VideoReader, 'close', lambda self: (closed.append(self), close(self))[1])
    return closed


def test_a_video_is_closed_when_its_frames_are_read(path, closed):
    opened = pipeline([])(video(path))
    for decode in (True, False):
        ReadFrames((64, 48), decode=decode).transform(dict(opened))
        assert closed.pop() is opened['video_reader']
        assert not closed
    broken = pipeline([])(video(path))
    with pytest.raises(IndexError):
        ReadFrames().transform(dict(broken, frame_inds=np.array([30])))
    assert closed == [broken['video_reader']]


def test_no_two_images_share_memory(path):
    imgs = pipeline(OURS, clip_len=16, num_clips=10)(video(path))['imgs']
    before = np.array(imgs)
    imgs[0][:] = 0
    np.testing.assert_array_equal(before[1:], imgs[1:])


def test_short_videos_loop(tmp_path):
    path = write_video(tmp_path / 'short.mp4', frames=3)
    results = pipeline(OURS, clip_len=8, num_clips=2)(video(path))
    assert results['frame_inds'].tolist() == [0, 1, 2, 0, 1, 2, 0, 1] * 2
    assert len(results['imgs']) == 16


@pytest.fixture
def lmdb_of(tmp_path):
    """Store content as a.mp4 in an LMDB; return the arguments of a pipeline that reads it."""

    def store(content):
        with lmdb.open(str(tmp_path / 'db')) as db, db.begin(write=True) as transaction:
            transaction.put(b'a.mp4', content)
        return dict(io_backend='lmdb', db_path=str(tmp_path / 'db'))

    return store


@pytest.fixture
def no_temporary_files(monkeypatch):
    """Fail if a file is created in the folder of temporary files."""

    def refuse(*args, **kwargs):
        raise AssertionError('a temporary file')

    for name in ('mkstemp', 'mkdtemp', 'NamedTemporaryFile', 'TemporaryFile'):
        monkeypatch.setattr(tempfile, name, refuse)


@pytest.mark.parametrize('num_clips', [1, 10])
def test_lmdb(path, lmdb_of, no_temporary_files, num_clips):
    kwargs = lmdb_of(path.read_bytes())
    stored = pipeline(OURS, num_clips=num_clips, **kwargs)(video('a.mp4'))
    on_disk = pipeline(OURS, num_clips=num_clips)(video(path))
    np.testing.assert_array_equal(stored['imgs'], on_disk['imgs'])
    with pytest.raises(InputError, match=r'nope\.mp4: no such video'):
        pipeline(OURS, **kwargs)(video('nope.mp4'))


@pytest.fixture
def server(tmp_path):
    """Serve the folder of the test; return the address."""
    with folder_server(tmp_path) as (address, _):
        yield address


def test_a_web_server(path, tmp_path, server, no_temporary_files):
    (tmp_path / 'list.txt').write_text('a.mp4 0\n')
    dataset = LabelledVideoDataset(
        str(tmp_path / 'list.txt'), 1, data_prefix=dict(video=server), pipeline=[]
    )
    filename = dataset.get_data_info(0)['filename']
    loaded = pipeline(OURS, io_backend='http')(video(filename))
    np.testing.assert_array_equal(loaded['imgs'], pipeline(OURS)(video(path))['imgs'])
    with pytest.raises(VideoInputError, match=r'http://127.*/b\.mp4: no such video'):
        pipeline(OURS, io_backend='http')(video(filename.replace('a.mp4', 'b.mp4')))


def test_a_web_server_that_fails(tmp_path):
    def answer(request):
        if 'short' in request.path:
            send(request, b'short', length=1000)
        else:
            request.send_error(503)

    with http_server(answer) as address:
        for name, reason in (('a', 'HTTP Error 503'), ('short', 'IncompleteRead')):
            with pytest.raises(VideoInputError) as error:
                pipeline(OURS, io_backend='http')(video(f'{address}/{name}.mp4'))
            assert f'/{name}.mp4: cannot be fetched by the backend http: {reason}' in str(error)
    with pytest.raises(VideoInputError, match=r'cannot be fetched.*refused'):
        pipeline(OURS, io_backend='http')(video(f'{address}/a.mp4'))


@pytest.mark.parametrize('part', [0.3, 0.9])
def test_a_truncated_video_in_memory(path, lmdb_of, part):
    content = path.read_bytes()
    steps = pipeline(OURS, **lmdb_of(content[: int(len(content) * part)]))
    with pytest.raises(VideoInputError, match=r'^a\.mp4: ') as error:
        steps(video('a.mp4'))
    assert_one_line(error.value)


def test_missing_video(tmp_path):
    with pytest.raises(InputError, match=r'nope\.mp4: no such video'):
        pipeline(OURS)(video(tmp_path / 'nope.mp4'))


@pytest.mark.parametrize('content', [b'', b'hello', bytes(range(256)) * 20])
def test_not_a_video(tmp_path, content):
    path = tmp_path / 'bad.mp4'
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'bad\.mp4: does not decode') as error:
        pipeline(OURS)(video(path))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('part', [0.1, 0.5, 0.9])
def test_truncated_video(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError, match=r'a\.mp4: does not decode'):
        pipeline(OURS)(video(path))


def test_a_video_that_changes_its_size_is_scaled_to_its_first_frame(tmp_path):
    sizes = dict(a=(96, 72), b=(64, 48))
    parts = [
        write_video(tmp_path / f'{n}.avi', 20, size, codec='MJPG') for n, size in sizes.items()
    ]
    path = tmp_path / 'both.avi'
    path.write_bytes(b''.join(part.read_bytes() for part in parts))
    results = pipeline(OURS, num_clips=5)(video(path))
    assert results['total_frames'] == 40
    assert results['original_shape'] == (72, 96)
    assert {image.shape for image in results['imgs']} == {(128, 171, 3)}


def test_timestamps_that_start_over(tmp_path):
    part = write_video(tmp_path / 'a.ts', 20, codec='MPG2').read_bytes()
    (tmp_path / 'twice.ts').write_bytes(part * 2)
    assert pipeline(OURS, num_clips=5)(video(tmp_path / 'twice.ts'))['total_frames'] == 40


def test_a_name_without_extension(path):
    for name in ('a', 'plain'):
        if name == 'plain':
            path.rename(path.with_name(name))
        assert pipeline(OURS)(video(path.with_name(name)))['total_frames'] == 30


DECORD = dict(backend='decord')


def test_frames_by_decord(path):
    pytest.importorskip('decord')
    for clip_len, num_clips in ((8, 1), (16, 10)):
        ours = pipeline(OURS, clip_len, num_clips, **DECORD)(video(path))
        theirs = pipeline(THEIRS, clip_len, num_clips, init='DecordInit')(video(path))
        np.testing.assert_array_equal(ours['imgs'], theirs['imgs'])
        assert ours['avg_fps'] == 25


def test_narrow_frames_by_decord(tmp_path):
    pytest.importorskip('decord')
    narrow = video(write_video(tmp_path / 'a.mp4', 8, size=(48, 32)))
    read = [dict(type='r21d_plugin.ReadFrames', scale=None)]
    frames = [pipeline(read, num_clips=1, **more)(dict(narrow))['imgs'] for more in (DECORD, {})]
    np.testing.assert_array_equal(*frames)


def test_bad_videos_by_decord(path, tmp_path):
    pytest.importorskip('decord')
    with pytest.raises(VideoInputError, match=r'nope\.mp4: no such video'):
        pipeline(OURS, **DECORD)(video(tmp_path / 'nope.mp4'))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(VideoInputError, match=r'a\.mp4: does not decode') as error:
        pipeline(OURS, **DECORD)(video(path))
    assert_one_line(error.value)


def test_a_name_that_decord_cannot_open(path):
    pytest.importorskip('decord')
    odd = path.rename(path.with_name(os.fsdecode(b'\xff.mp4')))
    with pytest.raises(VideoInputError, match=r'/\\xff\.mp4: decord needs names in UTF-8'):
        pipeline(OURS, **DECORD)(video(odd))


def test_invalid_backends(path, monkeypatch):
    with pytest.raises(InputError, match="backend='ffmpeg': use 'pyav' or 'decord'"):
        pipeline(OURS, backend='ffmpeg')
    with pytest.raises(InputError, match="backend='decord' with io_backend='lmdb': decord crash"):
        pipeline(OURS, **DECORD, io_backend='lmdb')
    with pytest.raises(InputError, match='OpenVideo has no argument wait: correct or drop it'):
        pipeline(OURS, wait=600)
    monkeypatch.setitem(sys.modules, 'decord', None)
    with pytest.raises(InputError, match='pip install decord, or drop'):
        pipeline(OURS, **DECORD)(video(path))
    assert len(pipeline(OURS)(video(path))['imgs']) == 80


def test_mmactions_own_decoding_beside_ours(path):
    """Configs may combine our sampling with MMAction2's readers, and the reverse."""
    names = {init: init.replace('Init', 'Decode') for init in ('PyAVInit', 'OpenCVInit')}
    expected = pipeline(OURS, num_clips=2)(video(path))['imgs']
    for init, decode in names.items():
        found = pipeline([dict(type=decode), *THEIRS[1:]], num_clips=2, init=init)(video(path))
        assert np.abs(np.float32(found['imgs']) - expected).mean() < 1
    theirs = dict(type='SampleFrames', clip_len=8, num_clips=2, test_mode=True, target_fps=25)
    steps = Compose([dict(type='r21d_plugin.OpenVideo'), theirs, *OURS])
    assert len(steps(video(path))['imgs']) == 16


@pytest.mark.slow
def test_nothing_imports_decord():
    """Some platforms have no wheel of decord, so nothing may import it."""
    code = """
import sys
sys.modules['decord'] = None
import pkgutil, r21d_plugin, r21d_plugin.registry
for module in pkgutil.walk_packages(r21d_plugin.__path__, 'r21d_plugin.'):
    if 'pytorchvideo' not in module.name:
        __import__(module.name)
"""
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)

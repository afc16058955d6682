"""Encoding videos into a training store. Each frame shows its number as a bar code."""

from __future__ import annotations

import os
import resource
import subprocess
from fractions import Fraction

import av
import cv2
import decord
import imageio_ffmpeg
import numpy as np
import pytest
from mmengine.dataset import Compose
from support import number_of, write_numbered, write_video

from r21d_plugin import InputError
from r21d_plugin.datasets import video_index, video_reader
from r21d_plugin.datasets.store_tag import KEY_INTERVAL, StoreTag
from r21d_plugin.datasets.video_reader import VideoReader
from r21d_plugin.datasets.video_store import StoreFormat, is_stored, store_video

FRAMES = 40
EVEN = np.arange(FRAMES) / 25
BURST = np.where(np.arange(FRAMES) < 30, EVEN / 10, EVEN * 5 - 5)  # 250 frames a second, then 5
NTSC = Fraction(30000, 1001)

SOURCES = {
    'b_frames.mp4': dict(times=EVEN, bf='3'),
    'b_frames.avi': dict(times=EVEN, bf='3'),
    'mpeg4.avi': dict(times=EVEN, codec='mpeg4', bf='2'),
    'late.ts': dict(times=EVEN + 7, bf='3'),
    'bursts.mp4': dict(times=BURST),
    'bursts.mkv': dict(times=BURST),
    'ntsc.mkv': dict(times=np.arange(FRAMES) / float(NTSC), rate=NTSC),
    'one_frame.mp4': dict(times=[0]),
}


@pytest.fixture
def source(tmp_path):
    return write_numbered(tmp_path / 'source.mp4', EVEN)


@pytest.fixture
def nothing_known():
    """Clear the cache of facts about files before each test."""
    return video_reader.KNOWN_INDEXES.clear


@pytest.fixture
def target(tmp_path):
    return tmp_path / 'store/class/a.mp4'


def ffmpeg(*words: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-loglevel', 'error', '-y', *words]
    subprocess.run([str(word) for word in command], check=True)


def numbers_in(path) -> list[int]:
    with VideoReader(path) as reader:
        numbers = [number_of(frame) for frame in reader.frames()]
        assert len(reader) == len(numbers)
    return numbers


@pytest.mark.parametrize('name', SOURCES)
def test_frames_and_times_are_those_of_the_source(name, tmp_path, target):
    source = write_numbered(tmp_path / name, **SOURCES[name])
    count = store_video(source, target, StoreFormat())
    assert numbers_in(target) == numbers_in(source) == list(range(count))
    with VideoReader(source) as before, VideoReader(target) as after:
        assert after.size == (171, 128)
        times = np.arange(count) / 25 if before.timestamps is None else before.timestamps
        np.testing.assert_allclose(after.timestamps, times, atol=1e-3)
        if name == 'ntsc.mkv':
            assert after.fps == float(NTSC)


def test_key_frames_and_no_b_frames(source, target):
    store_video(source, target, StoreFormat())
    with av.open(str(target)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [packet.is_keyframe for packet in packets] == [
        i % KEY_INTERVAL == 0 for i in range(FRAMES)
    ]
    assert all(packet.pts == packet.dts for packet in packets)


@pytest.mark.parametrize(
    ('form', 'scale', 'padded'),
    [
        (StoreFormat(), (171, 128), (172, 128)),
        (StoreFormat(35), (-1, 35), (54, 36)),
        (StoreFormat(36), (-1, 36), (54, 36)),
    ],
)
def test_padding_is_cropped_exactly(form, scale, padded, source, target):
    store_video(source, target, form)
    whole = decord.VideoReader(str(target)).get_batch(range(FRAMES)).asnumpy()
    assert whole.shape[2:0:-1] == padded
    width, height = form.size((96, 64))
    steps = [
        dict(type='r21d_plugin.OpenVideo'),
        dict(type='r21d_plugin.ReadFrames', scale=scale),
    ]
    read = Compose(steps)(dict(filename=str(target), frame_inds=np.arange(FRAMES)))
    np.testing.assert_array_equal(read['imgs'], whole[:, :height, :width])
    assert read['original_shape'] == (height, width)


def test_pixels_are_those_of_the_source_resized(tmp_path, target):
    source = write_video(tmp_path / 'a.mp4', 20, (340, 256))
    store_video(source, target, StoreFormat())
    with VideoReader(source) as before, VideoReader(target) as after:
        pair = [reader.read(range(20), (171, 128)).mean(-1) for reader in (before, after)]
    difference = np.abs(pair[0] - pair[1])
    assert difference.mean() < 4
    assert difference[:, :, -1].mean() < 6, 'the last column, beside the padding'


def test_a_copy_in_another_container_is_cropped_and_a_scaled_one_is_not(source, target, tmp_path):
    store_video(source, target, StoreFormat())
    ffmpeg('-i', target, '-c', 'copy', tmp_path / 'copied.mkv')
    ffmpeg('-i', target, '-vf', 'scale=340:256', tmp_path / 'scaled.mp4')
    for name, size in (('copied.mkv', (171, 128)), ('scaled.mp4', (340, 256))):
        with VideoReader(tmp_path / name) as reader:
            assert reader.size == size


CHANGES = {
    'cut': ((), ('-ss', '0.7'), ('-c', 'copy')),
    'end': ((), (), ('-t', '0.9', '-c', 'copy')),
    'b_frames': ((), (), ('-c:v', 'libx264', '-bf', '3', '-g', '16')),
    'refresh': ((), (), ('-c:v', 'libx264', '-bf', '0', '-x264-params', 'intra-refresh=1')),
    'rate': (('-r', '10'), (), ('-c:v', 'libx264', '-r', '25', '-g', '16', '-bf', '0')),
    'mpeg4': ((), (), ('-c:v', 'mpeg4', '-bf', '2')),
}
"""Options of ffmpeg by which a stored file is changed; its comment stays."""


@pytest.mark.parametrize('name', CHANGES)
def test_stored_files_that_were_changed(name, source, target, tmp_path, nothing_known):
    store_video(source, target, StoreFormat())
    changed = tmp_path / 'changed.mp4'
    rate, seek, encoding = CHANGES[name]
    ffmpeg(*rate, *seek, '-i', target, *encoding, changed)
    numbers = numbers_in(changed)
    for number in (len(numbers) - 1, len(numbers) // 2, 0, 17):
        nothing_known()
        with VideoReader(changed) as reader:
            assert number_of(reader.read([number])[0]) == numbers[number]


def test_stored_files_are_indexed_without_reading_them(
    source, target, decoded_packets, monkeypatch
):
    store_video(source, target, StoreFormat())
    decoded_packets.clear()
    monkeypatch.setattr(video_index.Coding, 'describe', lambda *_: pytest.fail('reads packets'))
    with VideoReader(target.read_bytes()) as reader:
        assert len(reader) == FRAMES
        assert number_of(reader.read([34])[0]) == 34
    assert len(decoded_packets) < KEY_INTERVAL


@pytest.mark.parametrize('part', [0.5, 0.999])
def test_truncated_stored_files(part, source, target):
    store_video(source, target, StoreFormat())
    os.truncate(target, int(target.stat().st_size * part))
    with pytest.raises(InputError, match=r'a\.mp4: has damaged frames'), VideoReader(target) as r:
        len(r)
    with VideoReader(target, strict=False) as reader:
        assert number_of(reader.read([3])[0]) == 3


def test_turned_videos_are_stored_upright(source, target, tmp_path):
    turned = tmp_path / 'turned.mp4'
    ffmpeg('-display_rotation', 90, '-i', source, '-c', 'copy', turned)
    store_video(turned, target, StoreFormat(33))
    with VideoReader(turned) as before, VideoReader(target) as after:
        assert after.size == (33, 50)
        expected = before.read([7], (33, 50))[0]
        assert np.abs(after.read([7])[0].astype(int) - expected).mean() < 10


def test_a_constant_rate(tmp_path, target):
    """Each frame is shown from its time, rounded to the rate, until the next frame."""
    source = write_numbered(tmp_path / 'a.mp4', [0, 0.1, 0.2, 0.6, 0.61, 0.7])
    store_video(source, target, StoreFormat(fps=10))
    with VideoReader(target) as reader:
        assert reader.fps == 10
    assert numbers_in(target)[:8] == [0, 1, 2, 2, 2, 2, 4, 5]


def test_a_part(source, target):
    assert store_video(source, target, StoreFormat(), (0.4, 1.0)) == 15
    assert numbers_in(target) == list(range(10, 25))
    with pytest.raises(InputError, match=r'source\.mp4: no frames from second 3 to 13'):
        store_video(source, target.with_name('b.mp4'), StoreFormat(), (3, 13))


@pytest.mark.parametrize('name', ['a.mp4', 'a.avi'])
def test_truncated_sources_are_refused(name, tmp_path, target):
    source = write_numbered(tmp_path / name, EVEN, movflags='faststart')
    if name == 'a.mp4':
        ffmpeg('-i', source, '-c', 'copy', '-movflags', 'faststart', tmp_path / 'fast.mp4')
        (tmp_path / 'fast.mp4').replace(source)
    os.truncate(source, source.stat().st_size * 3 // 4)
    with pytest.raises(InputError, match=f'{name}: has damaged frames'):
        store_video(source, target, StoreFormat())
    assert not target.parent.exists() or not list(target.parent.iterdir())


@pytest.mark.parametrize('room', [0, 1000, 0.99])
def test_a_full_disk(room, source, target, tmp_path):
    store_video(source, target, StoreFormat())
    size = target.stat().st_size
    target.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room * size if room < 1 else room), limits[1]))
    try:
        with pytest.raises(InputError, match=r'a\.mp4: cannot write there: File too large'):
            store_video(source, target, StoreFormat())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(target.parent.iterdir())


def test_stored_frames(source, target, tmp_path):
    assert not is_stored(target, source, StoreFormat())
    store_video(source, target, StoreFormat())
    assert is_stored(target, source, StoreFormat())
    stored_as = r'a\.mp4: stored as 171x128, not as short side 64, 30 fps: choose another folder'
    with pytest.raises(InputError, match=stored_as):
        is_stored(target, source, StoreFormat(64, 30))
    write_numbered(source, EVEN[:20])
    assert not is_stored(target, source, StoreFormat())
    with pytest.raises(InputError, match=r'source\.mp4: exists and does not belong to a store'):
        is_stored(source, source, StoreFormat())


def test_tags():
    tag = StoreTag(280, 171, 128, 635539, 'short side 128, 29.97 fps')
    assert StoreTag.find(dict(comment=str(tag))) == tag
    for comment in ('', 'a holiday', f'{tag} and more'):
        assert StoreTag.find(dict(comment=comment)) is None
    image = cv2.resize(np.zeros((4, 4, 3), np.uint8), (172, 128))
    assert tag.crop(image).shape == (128, 171, 3)
    assert tag.crop(image[:100]).shape == (100, 172, 3)

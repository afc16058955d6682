"""Frames by number, from files of many kinds. Each frame shows its number as a bar code."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from support import damage, write_numbered

from r21d_plugin import InputError
from r21d_plugin.datasets import video_reader
from r21d_plugin.datasets.video_reader import VideoReader

WIDTH, HEIGHT, FRAMES = 96, 64, 60
X264 = ('-c:v', 'libx264', '-preset', 'veryfast', '-g', '12', '-pix_fmt', 'yuv420p')
OPEN_GOP = ('-x264-params', 'open-gop=1:scenecut=0')
XVID = ('-c:v', 'libxvid', '-bf', '2', '-g', '12', '-q:v', '4')
BURSTS = "settb=1/9600,setpts='if(lt(N,30),N/240,30/240+(N-30)/5)/TB'"

ENCODED = {
    'b_frames.mp4': X264,
    'b_frames.flv': X264,
    'open_gop.mp4': (*X264, *OPEN_GOP),
    'open_gop.ts': (*X264, *OPEN_GOP),
    'hevc.mkv': (
        '-c:v',
        'libx265',
        '-preset',
        'ultrafast',
        '-x265-params',
        'log-level=0:keyint=12',
    ),
    'intra_refresh.mp4': (*X264, '-x264-params', 'intra-refresh=1:keyint=12'),
    '444.mp4': (*X264, '-pix_fmt', 'yuv444p'),
    'equal_times.mp4': ('-vf', "setpts='N/2'", '-fps_mode', 'passthrough', *X264),
    'variable_rate.mp4': (
        '-vf',
        BURSTS,
        '-enc_time_base',
        '1/9600',
        '-fps_mode',
        'passthrough',
        *X264,
    ),
    'no_duration.mkv': (*X264, '-live', '1'),
    'fragments.mp4': (*X264, '-movflags', 'frag_keyframe+empty_moov'),
    'b_frames.avi': (*X264, '-bf', '3'),
    'raw.h264': X264,
    'mpeg2.mpg': ('-c:v', 'mpeg2video', '-bf', '2', '-g', '12', '-q:v', '3'),
    'mpeg4.mp4': ('-c:v', 'mpeg4', '-bf', '2', '-g', '12', '-q:v', '3'),
    'windows.wmv': ('-c:v', 'wmv2', '-g', '12', '-q:v', '3'),
    'ogg.ogv': ('-c:v', 'libtheora', '-q:v', '6'),
    'vp8.webm': ('-c:v', 'libvpx', '-auto-alt-ref', '1', '-lag-in-frames', '16', '-g', '12'),
    'vp9.webm': ('-c:v', 'libvpx-vp9', '-lag-in-frames', '16', '-g', '12'),
    'av1.mp4': ('-c:v', 'libsvtav1', '-preset', '12', '-g', '12'),
    'animated.gif': (),
    'lossless.mov': ('-c:v', 'qtrle', '-pix_fmt', 'rgb24'),
    'jpeg.avi': ('-c:v', 'mjpeg', '-q:v', '3'),
}
"""Encodings of all the frames."""

COPIED = {
    'edit_list.mp4': ('b_frames.mp4', ('-ss', '1'), (), range(25, FRAMES)),
    'cut_open_gop.mkv': ('open_gop.mp4', ('-ss', '1'), (), range(24, FRAMES)),
    'no_key_first.ts': ('b_frames.mp4', (), ('-ss', '0.6', '-copyinkf'), range(24, FRAMES)),
    'late.ts': ('b_frames.mp4', (), ('-output_ts_offset', '5'), range(FRAMES)),
}
"""Files cut from others without encoding: source, options before and after it, and numbers."""


@pytest.fixture(scope='module')
def frames() -> np.ndarray:
    """Draw frames with their number in the upper quarter (six bits) and a moving picture below."""
    noise = np.random.default_rng(0).integers(0, 255, (16, 80, 3), np.uint8)
    canvas = cv2.resize(noise, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    images = [canvas[i : i + HEIGHT, 2 * i : 2 * i + WIDTH].copy() for i in range(FRAMES)]
    for number, image in enumerate(images):
        for bit in range(6):
            image[: HEIGHT // 4, bit * 16 : bit * 16 + 16] = 235 if number >> bit & 1 else 16
    return np.stack(images)


def number_of(frame: np.ndarray) -> int:
    """Read the number that a frame of any size shows."""
    bars = cv2.resize(frame[: len(frame) // 5], (6, 1), interpolation=cv2.INTER_AREA)
    return sum(int(bar > 126) << bit for bit, bar in enumerate(bars.mean(-1)[0]))


def ffmpeg(*words: object, content: bytes = b'') -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-loglevel', 'error', '-y', '-threads', '1', *words]
    subprocess.run([str(word) for word in command], input=content, check=True)


@pytest.fixture(scope='module')
def make(frames, tmp_path_factory):
    """Write a file of ENCODED or COPIED, unless it exists."""
    folder = tmp_path_factory.mktemp('videos')
    raw = ('-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{WIDTH}x{HEIGHT}', '-r', 25, '-i', '-')

    def make(name: str) -> Path:
        path = folder / name
        if path.exists():
            return path
        if name in ENCODED:
            ffmpeg(*raw, *ENCODED[name], path, content=frames.tobytes())
        else:
            source, before, after, _ = COPIED[name]
            ffmpeg(*before, '-i', make(source), '-c', 'copy', *after, path)
        return path

    return make


@pytest.fixture(autouse=True)
def nothing_known():
    """Clear the cache of frame counts before each test."""
    video_reader.KNOWN_INDEXES.clear()


def check(path: Path, numbers: list[int]) -> None:
    """Check all frames in sequence, and selected ones before and after the file is indexed."""
    with VideoReader(path) as reader:
        assert [number_of(frame) for frame in reader.frames()] == numbers
    some = [0, 1, len(numbers) // 3, len(numbers) // 2, len(numbers) - 1]
    for selected in (some, [len(numbers) - 9], [len(numbers) // 2, len(numbers) - 2]):
        with VideoReader(path) as reader:
            assert len(reader) == len(numbers)
            read = reader.read([*selected, selected[0]])
            assert [number_of(frame) for frame in read[:-1]] == [numbers[i] for i in selected]
            np.testing.assert_array_equal(read[-1], read[0])


@pytest.mark.parametrize('name', ENCODED)
def test_frame_numbers(name, make):
    check(make(name), list(range(FRAMES)))


@pytest.mark.parametrize('name', COPIED)
def test_frame_numbers_of_cut_files(name, make):
    check(make(name), list(COPIED[name][-1]))


def test_packed_b_frames(frames, tmp_path):
    """The file has fewer pictures than packets, and unordered times.

    Frames equal those in sequence.
    """
    path = tmp_path / 'packed.avi'
    raw = ('-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', f'{WIDTH}x{HEIGHT}', '-i', '-')
    ffmpeg(*raw, *XVID, path, content=frames.tobytes())
    with VideoReader(path) as reader:
        numbers = [number_of(frame) for frame in reader.frames()]
        assert len(numbers) < FRAMES
        assert reader.timestamps is None
    check(path, numbers)


def test_timestamps_that_start_over(make, tmp_path):
    path = tmp_path / 'twice.ts'
    path.write_bytes(make('open_gop.ts').read_bytes() * 2)
    with VideoReader(path) as reader:
        numbers = [number_of(frame) for frame in reader.frames()]
    assert len(numbers) > FRAMES
    check(path, numbers)


def test_cover_picture_is_no_video(make, tmp_path):
    path = tmp_path / 'cover.mp4'
    cover = ('-f', 'lavfi', '-i', 'color=red:s=64x64:d=0.04')
    maps = ('-map', '1:v', '-map', '0:v', '-c:v:0', 'mjpeg', '-c:v:1', 'copy')
    ffmpeg('-i', make('b_frames.mp4'), *cover, *maps, '-disposition:v:0', 'attached_pic', path)
    check(path, list(range(FRAMES)))


def test_clips_are_decoded_from_key_frames(make, decoded_packets):
    with VideoReader(make('b_frames.mp4')) as reader:
        reader.read(range(40, 44))
    assert 4 <= len(decoded_packets) < 16


def test_frames_are_counted_only_once(make, decoded_packets):
    for _ in range(2):
        with VideoReader(make('b_frames.avi')) as reader:
            assert len(reader) == FRAMES
    assert len(decoded_packets) == FRAMES


def test_a_changed_file_is_counted_again(make, tmp_path):
    path = tmp_path / 'a.avi'
    for name, length in (('b_frames.avi', FRAMES), ('short.avi', 9)):
        if name == 'short.avi':
            ffmpeg('-i', make('b_frames.avi'), '-frames:v', 9, path)
        else:
            path.write_bytes(make(name).read_bytes())
        with VideoReader(path) as reader:
            assert len(reader) == length


@pytest.mark.parametrize('name', ['open_gop.mp4', 'vp9.webm', 'mpeg4.mp4'])
def test_false_key_frames(name, make, tmp_path):
    """An index that marks every frame as a key frame does not change the frames."""
    path = tmp_path / 'a.mp4'
    ffmpeg('-i', make(name), '-c', 'copy', path)
    content = path.read_bytes()
    assert content.count(b'stss') == 1
    path.write_bytes(content.replace(b'stss', b'free'))
    check(path, list(range(FRAMES)))


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
@pytest.mark.parametrize('flips', [(), ('-display_hflip',), ('-display_vflip',)])
@pytest.mark.parametrize('angle', [0, 90, 180, 270, 30])
def test_the_display_matrix_is_applied(angle, flips, suffix, make, tmp_path):
    path = tmp_path / f'turned.{suffix}'
    source = make('b_frames.mp4')
    ffmpeg('-display_rotation', angle, *flips, '-i', source, '-c', 'copy', path)
    ffmpeg('-i', path, '-frames:v', 1, tmp_path / 'shown.png')
    shown = cv2.cvtColor(cv2.imread(str(tmp_path / 'shown.png')), cv2.COLOR_BGR2RGB)
    with VideoReader(path) as reader:
        assert reader.size == shown.shape[1::-1]
        assert np.abs(reader.read([0])[0].astype(int) - shown).mean() < 10


def test_frames_and_sizes_are_those_of_decord(make):
    path = make('b_frames.mp4')
    decord = pytest.importorskip('decord')
    expected = decord.VideoReader(str(path)).get_batch(range(FRAMES)).asnumpy()
    with VideoReader(path) as reader:
        np.testing.assert_array_equal(reader.read(range(FRAMES)), expected)
        small = reader.read([7, 3], (40, 30))
    np.testing.assert_array_equal(small, [cv2.resize(expected[i], (40, 30)) for i in (7, 3)])


def test_frames_are_writable(make):
    """A decoder of RGB may reuse the memory of the previous picture."""
    numbers = []
    with VideoReader(make('lossless.mov')) as reader:
        for frame in reader.frames():
            numbers.append(number_of(frame))
            frame[:] = 255
    assert numbers == list(range(FRAMES))


def test_rates_and_times(make):
    with VideoReader(make('b_frames.mp4')) as reader:
        assert reader.fps == 25
        assert reader.size == (WIDTH, HEIGHT)
        np.testing.assert_allclose(reader.timestamps, np.arange(FRAMES) / 25)
    with VideoReader(make('variable_rate.mp4')) as reader:
        np.testing.assert_allclose(np.diff(reader.timestamps)[[0, -1]], [1 / 240, 1 / 5], rtol=0.1)


@pytest.mark.parametrize(
    'name', ['12:30:05.mp4', 'no_suffix', 'a b\n.mp4', os.fsdecode(b'\xff.mp4')]
)
def test_names(name, make, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(make('b_frames.mp4').read_bytes())
    monkeypatch.chdir(tmp_path)
    with VideoReader(name) as reader:
        assert number_of(next(reader.frames([33]))) == 33


@pytest.mark.parametrize('name', ['b_frames.mp4', 'b_frames.avi'])
def test_videos_in_memory(name, make):
    content = make(name).read_bytes()
    for video in (content, io.BytesIO(content)):
        with VideoReader(video) as reader:
            assert [number_of(frame) for frame in reader.read([50, 9])] == [50, 9]
    with pytest.raises(InputError, match=r'^a/b\.mp4: does not decode'):
        VideoReader(content[:99], name='a/b.mp4')


def test_invalid_frame_numbers(make):
    with VideoReader(make('b_frames.mp4')) as reader:
        for wrong in ([FRAMES], [-1]):
            with pytest.raises(IndexError):
                reader.read(wrong)
        with pytest.raises(ValueError, match='ascending'):
            list(reader.frames([3, 2]))


@pytest.fixture
def damaged(make, tmp_path):
    """A video whose third group of pictures (frames 24 to 35) is damaged."""

    def copy(name: str) -> Path:
        path = Path(shutil.copy(make(name), tmp_path))
        damage(path, 25, 34)
        return path

    return copy


@pytest.mark.parametrize('name', ['b_frames.mp4', 'b_frames.avi', 'av1.mp4'])
def test_damage(name, damaged):
    path = damaged(name)
    refused = pytest.raises(InputError, match=f'{name}: has damaged frames')
    for indices in (None, range(20, 40), [34]):
        with refused, VideoReader(path) as reader:
            list(reader.frames(indices))
    with VideoReader(path, strict=False) as reader:
        assert number_of(reader.read([3])[0]) == 3
    with refused, VideoReader(path, strict=False) as reader:
        reader.read([3, 33])
    with VideoReader(path, strict=False) as reader:
        last = len(reader) - 3  # fewer where packets don't tell, as one picture did not decode
        assert number_of(reader.read([last])[0]) == 57


def test_damage_after_a_clip_that_is_not_the_last(tmp_path):
    """A B-picture, frame 19, is wrong because the later picture that it refers to is damaged."""
    coding = 'scenecut=0:b-adapt=0:bframes=3:keyint=12:min-keyint=12:open-gop=0'
    times = [number / 25 for number in range(FRAMES)]
    path = tmp_path / 'a.mp4'
    write_numbered(path, times, (192, 128), **{'g': '12', 'x264-params': coding})
    damage(path, 17, 18)
    clip = [16, 17, 18, 19]
    for indices in (clip, [*clip, 50, 51]):
        with pytest.raises(InputError, match='has damaged frames'), VideoReader(path) as reader:
            reader.read(indices)


@pytest.mark.parametrize('name', ['edit_list.mp4', 'b_frames.avi', 'vp9.webm'])
def test_truncated(name, make, tmp_path):
    path = tmp_path / name
    if name.endswith('mp4'):
        ffmpeg('-i', make(name), '-c', 'copy', '-movflags', 'faststart', path)
    else:
        path.write_bytes(make(name).read_bytes())
    os.truncate(path, path.stat().st_size * 2 // 3)
    for read in (lambda reader: list(reader.frames()), lambda reader: reader.read([0])):
        with pytest.raises(InputError, match=f'{name}: has damaged frames'), VideoReader(path) as r:
            read(r)
    with VideoReader(path, strict=False) as reader:
        assert 10 < len(reader) < FRAMES
        assert number_of(reader.read([2])[0]) == (27 if 'edit' in name else 2)


@pytest.mark.parametrize('content', [b'', b'<html><body>not found</body></html>', bytes(5000)])
def test_no_video(content, tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'a\.mp4: does not decode') as error:
        VideoReader(path)
    assert '\n' not in str(error.value)


def test_no_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mp4')
    with pytest.raises(InputError, match=r'pipe\.mp4: does not decode'):
        VideoReader(tmp_path / 'pipe.mp4')
    with pytest.raises(InputError, match=r'nope\.mp4: no such video'):
        VideoReader(tmp_path / 'nope.mp4')


def test_no_time(make, monkeypatch):
    path = make('b_frames.avi')
    with pytest.raises(InputError, match=r'b_frames\.avi: did not decode in time'):
        VideoReader(path, timeout=0)
    with VideoReader(path) as reader:
        hours = itertools.count(0, 3600)
        with monkeypatch.context() as patch:
            patch.setattr(time, 'monotonic', lambda: next(hours))
            with pytest.raises(InputError, match=r'b_frames\.avi: did not decode in time'):
                len(reader)

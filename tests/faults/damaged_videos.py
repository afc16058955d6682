"""Make damaged videos from a few small good ones. The seed determines each of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from support import write_video

H264 = ('-c:v', 'libx264', '-preset', 'ultrafast', '-g', '8')
GOOD = {
    'index_last.mp4': H264,
    'index_first.mp4': (*H264, '-movflags', '+faststart'),
    'fragmented.mp4': (*H264, '-movflags', 'frag_keyframe+empty_moov'),
    'b_frames.mkv': ('-c:v', 'libx264', '-preset', 'veryfast', '-g', '12'),
    'with_sound.mov': ('-f', 'lavfi', '-i', 'sine=duration=1', *H264, '-c:a', 'aac'),
    'h264.ts': H264,
    'h264.flv': H264,
    'mpeg4.avi': ('-c:v', 'mpeg4'),
    'motion_jpeg.avi': ('-c:v', 'mjpeg'),
    'vp8.webm': ('-c:v', 'libvpx', '-deadline', 'realtime'),
    'mpeg2.mpg': ('-c:v', 'mpeg2video'),
    'wmv2.wmv': ('-c:v', 'wmv2'),
}
"""Arguments by which ffmpeg encodes each of the good ones."""

UNDECODABLE = 'does not decode'

UNUSUAL = {
    'vp9.webm': ('-c:v', 'libvpx-vp9', '-deadline', 'realtime'),
    'hevc.mp4': ('-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=0'),
    'prores.mov': ('-c:v', 'prores_ks'),
    'ffv1.mkv': ('-c:v', 'ffv1'),
    'dv.avi': ('-frames:v', '2', '-c:v', 'dvvideo', '-s', '720x576', '-pix_fmt', 'yuv420p'),
    'h263.3gp': ('-c:v', 'h263', '-s', '176x144'),
    'theora.ogv': ('-c:v', 'libtheora'),
    'raw.avi': ('-c:v', 'rawvideo', '-pix_fmt', 'bgr24'),
    'png.mov': ('-c:v', 'png'),
    'animated.gif': (),
    '422.mp4': (*H264, '-pix_fmt', 'yuv422p'),
    '444.mp4': (*H264, '-pix_fmt', 'yuv444p'),
    '10_bits.mp4': (*H264, '-pix_fmt', 'yuv420p10le'),
    'gray.mkv': ('-c:v', 'ffv1', '-pix_fmt', 'gray'),
    '16_bits.mkv': ('-c:v', 'ffv1', '-pix_fmt', 'gray16le'),
    'lossless_rgb.mkv': ('-c:v', 'libx264rgb', '-qp', '0', '-pix_fmt', 'rgb24'),
    'full_range.mp4': (*H264, '-pix_fmt', 'yuvj420p'),
    'with_alpha.mov': ('-c:v', 'prores_ks', '-profile:v', '4', '-pix_fmt', 'yuva444p10le'),
    'interlaced.mpg': ('-c:v', 'mpeg2video', '-flags', '+ildct+ilme'),
    'variable_rate.mp4': ('-vf', "select='not(mod(n,3))+lt(n,12)'", '-fps_mode', 'vfr', *H264),
    'variable_rate.mkv': ('-vf', "select='mod(n,5)'", '-fps_mode', 'vfr', *H264),
    'late_start.ts': ('-output_ts_offset', '40000', *H264),
    'one_frame.mp4': ('-frames:v', '1', *H264),
    'odd_size.avi': ('-c:v', 'mjpeg', '-s', '97x71'),
    'odd_size.mkv': ('-c:v', 'ffv1', '-s', '31x17'),
    '1x1.avi': ('-c:v', 'rawvideo', '-pix_fmt', 'bgr24', '-s', '1x1'),
    '1x1.mkv': ('-c:v', 'ffv1', '-s', '1x1'),
    '1x500.avi': ('-c:v', 'rawvideo', '-pix_fmt', 'bgr24', '-s', '1x500'),
    '8k.mp4': ('-frames:v', '2', '-s', '7680x4320', *H264),
}


def write_good(folder: Path, encodings: dict[str, tuple[str, ...]]) -> list[Path]:
    """Encode a second of drifting noise, once for each set of options."""
    folder.mkdir(parents=True, exist_ok=True)
    source = write_video(folder / 'source.avi', 24, (64, 48), codec='MJPG')
    for name, options in encodings.items():
        ffmpeg('-i', source, *options, folder / name)
    source.unlink()
    return [folder / name for name in encodings]


def ffmpeg(*words: object) -> None:
    """Run ffmpeg; raise if it fails."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        '-nostdin',
        '-loglevel',
        'error',
        '-y',
        '-threads',
        '1',
        *words,
    ]
    subprocess.run([str(word) for word in command], check=True, stderr=subprocess.PIPE)


def truncated(content: bytes, at: float) -> bytes:
    """Return the beginning of a file: its first bytes, a part of it, or all but its last bytes."""
    return content[: int(at * len(content)) if 0 < at < 1 else int(at)]


def flipped(content: bytes, bits: int, rng: np.random.Generator) -> bytes:
    """Flip some bits of a file."""
    damaged = np.frombuffer(content, np.uint8).copy()
    for position in rng.integers(len(content) * 8, size=bits):
        damaged[position // 8] ^= 1 << (position % 8)
    return damaged.tobytes()


def zeroed(content: bytes, share: float, rng: np.random.Generator) -> bytes:
    """Zero a block of a file, as if it had not been written."""
    length = max(1, int(share * len(content)))
    start = int(rng.integers(len(content) - length))
    return content[:start] + bytes(length) + content[start + length :]


TRUNCATIONS = (1, 7, 40, 200, *np.linspace(0.02, 0.98, 15), 0.999, -1, -8, -100)
FLIPS = (1, 1, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 256, 512, 1024) * 2
HOLES = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5) * 2


def damages(seed: int) -> Iterator[tuple[str, partial]]:
    """Return functions that damage the bytes of a file, by name."""
    rng = np.random.default_rng(seed)
    for i, at in enumerate(TRUNCATIONS):
        yield f'truncated_{i}', partial(truncated, at=at)
    for i, bits in enumerate(FLIPS):
        yield f'flipped_{i}', partial(flipped, bits=bits, rng=rng)
    for i, share in enumerate(HOLES):
        yield f'zeroed_{i}', partial(zeroed, share=share, rng=rng)


def write_damaged(good: list[Path], folder: Path, seed: int = 0) -> list[Path]:
    """Damage each good video in each way."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, video in enumerate(good):
        content = video.read_bytes()
        for name, damage in damages(seed + number):
            path = folder / f'{video.stem}_{name}{video.suffix}'
            path.write_bytes(damage(content))
            paths.append(path)
    return paths


def write_special(folder: Path) -> dict[Path, str]:
    """Write what is damaged in no way in common with others.

    Returns:
        dict[Path, str]: What there is to say of each; empty of those that decode.
    """
    folder.mkdir(parents=True, exist_ok=True)
    good = write_good(folder, {'whole.mp4': H264, 'whole.ts': H264})[0]
    content = good.read_bytes()
    files = {
        b'no_bytes.mp4': (b'', UNDECODABLE),
        b'text.mp4': (b'A video of nothing.\n' * 200, UNDECODABLE),
        b'zeros.mp4': (bytes(5000), UNDECODABLE),
        b'wrong_extension.avi': (content, ''),
        b'with spaces.mp4': (content, ''),
        b'new\nline.mp4': (content, ''),
        b'broken\nline.mp4': (content[:99], UNDECODABLE),
        '\u6f22\u5b57.mp4'.encode(): (content, ''),
        b'not_utf8_\xff.mp4': (content, ''),
    }
    said = {good: ''}
    for name, (data, line) in files.items():
        path = folder / os.fsdecode(name)
        path.write_bytes(data)
        said[path] = line
    links = {'loop.mp4': ('loop.mp4', UNDECODABLE), 'device.mp4': ('/dev/zero', UNDECODABLE)}
    for name, (target, line) in {**links, 'dangling.mp4': ('nowhere', 'no such video')}.items():
        (folder / name).symlink_to(target)
        said[folder / name] = line
    (folder / 'folder.mp4').mkdir()
    os.mkfifo(folder / 'pipe.mp4')
    said.update({folder / 'folder.mp4': UNDECODABLE, folder / 'pipe.mp4': UNDECODABLE})
    for name in ('sound.mp4', 'sound.wav'):
        ffmpeg('-f', 'lavfi', '-i', 'sine=duration=1', folder / name)
        said[folder / name] = UNDECODABLE
    ffmpeg('-display_rotation', 90, '-i', good, '-c', 'copy', folder / 'rotated.mp4')
    larger = ('-s', '96x64', '-output_ts_offset', '1', *H264)
    ffmpeg('-i', folder / 'whole.ts', *larger, folder / 'larger.ts')
    parts = [(folder / name).read_bytes() for name in ('whole.ts', 'larger.ts')]
    (folder / 'variable_resolution.ts').write_bytes(b''.join(parts))
    return {**said, folder / 'rotated.mp4': '', folder / 'variable_resolution.ts': ''}

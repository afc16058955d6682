"""Helpers that tests in several folders share."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from r21d_plugin.models.factory import CLIP_LEN

ROOT = Path(__file__).parents[1]
CONFIGS = [
    path
    for path in sorted((ROOT / 'configs').glob('*.py'))
    if not re.search('finetune_|_echonet_', path.name)
]
"""Configs that can be read without data."""


def stored_scores(work_dir: Path) -> dict[str, tuple[list, frozenset[int]]]:
    """Read the scores of clips and the labels that the only test in a work dir stored."""
    from r21d_plugin.evaluation.scores import read_scores

    (path,) = work_dir.glob('*/scores.npz')
    return {name: (clips.tolist(), labels) for name, (clips, labels) in read_scores(path).items()}


def free_port() -> int:
    """Return a port of this machine at which nothing listens."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


def needs_torch(path: str) -> pytest.MarkDecorator:
    """Skip a test where torch lacks a function, ``'compile'`` or ``'export.Dim'``."""
    *modules, name = f'torch.{path}'.split('.')
    try:
        there = hasattr(import_module('.'.join(modules)), name)
    except ImportError:
        there = False
    return pytest.mark.skipif(not there, reason=f'needs torch.{path}')


TINY = {
    'model.backbone.base_channels': 4,
    'model.cls_head.in_channels': 32,
    'train_dataloader.batch_size': 4,
    'train_dataloader.num_workers': 1,
    'train_dataloader.sampler.epoch_size': 8,
    'val_dataloader.batch_size': 4,
    'val_dataloader.num_workers': 1,
    'val_dataloader.persistent_workers': False,
    'test_dataloader.batch_size': 2,
    'test_dataloader.num_workers': 1,
    'test_dataloader.persistent_workers': False,
    'train_cfg.max_epochs': 2,
    'default_hooks.logger.interval': 1,
}
"""Overrides that make a config of the paper run in a second.

Persistent workers of a loader that a cycle of references holds end five seconds late.
"""

OPTIONS = ['--cfg-options', *(f'{key}={value}' for key, value in TINY.items())]
"""The same for the command line."""


def write_video(
    path: Path,
    frames: int,
    size: tuple[int, int] = (96, 72),
    seed: int = 0,
    codec: str = 'mp4v',
) -> Path:
    """Encode a video of drifting noise; size is width and height in pixels."""
    rng = np.random.default_rng(seed)
    width, height = size
    canvas = cv2.GaussianBlur(rng.uniform(0, 255, (height * 2, width * 2, 3)), (0, 0), 3)
    canvas = np.uint8(np.clip((canvas - 127) * 4 + 127, 0, 255))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, size)
    for i in range(frames):
        writer.write(np.ascontiguousarray(canvas[i % height :, i % width :][:height, :width]))
    writer.release()
    return path


def write_numbered(
    path: Path,
    times: Sequence[float],
    size: tuple[int, int] = (96, 64),
    codec: str = 'libx264',
    rate: Fraction = Fraction(25),
    **options: str,
) -> Path:
    """Encode frames that carry their number as a bar code (see :func:`number_of`).

    Args:
        path: The video to write.
        times: Seconds of each frame.
        size: Width and height in pixels.
        codec: FFmpeg's name of the encoder.
        rate: Frames a second, to which the times are rounded in AVI.
        **options: Options of the encoder.
    """
    width, height = size
    canvas = cv2.resize(
        np.random.default_rng(0).integers(0, 255, (9, 40, 3), np.uint8), (4 * width, height)
    )
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        time_base = 1 / rate if path.suffix == '.avi' else 1 / (rate * 1000)
        stream.codec_context.time_base = time_base
        for number, time in enumerate(times):
            image = np.ascontiguousarray(canvas[:, 2 * number : 2 * number + width])
            for bit in range(6):
                bar = slice(bit * width // 6, (bit + 1) * width // 6)
                image[: height // 2, bar] = 235 if number >> bit & 1 else 16
            picture = av.VideoFrame.from_ndarray(image, format='rgb24')
            picture.pts, picture.time_base = round(time / time_base), time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def damage(path: Path, first: int, last: int) -> None:
    """Overwrite a part of the packets of a video from one frame to another."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in packets[first:last]:
        for at in range(position + size // 4, position + size, 7):
            content[at] ^= 0x5A
    path.write_bytes(content)


def number_of(frame: np.ndarray) -> int:
    """Read the number that a frame of :func:`write_numbered` shows, at any size."""
    bars = cv2.resize(frame[: len(frame) * 2 // 5], (6, 1), interpolation=cv2.INTER_AREA)
    return sum(int(bar > 126) << bit for bit, bar in enumerate(bars.mean(-1)[0]))


def shell(*command: object, cwd: Path, **env: str) -> str:
    """Run a command that must succeed; return what it prints."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore', **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout[-4000:]
    return result.stdout


def copy_source(target: Path) -> Path:
    """Copy the files that a wheel is built from, so that the checkout stays unchanged."""
    bytecode = shutil.ignore_patterns('__pycache__')
    for name in ('r21d_plugin', 'configs', 'tools'):
        shutil.copytree(ROOT / name, target / name, symlinks=True, ignore=bytecode)
    for name in ('pyproject.toml', 'build_backend.py', 'MANIFEST.in', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, target)
    return target


def assert_one_line(error: Exception) -> None:
    """Check that a message is a single line of bounded length."""
    assert len(str(error).splitlines()) == 1, error
    assert len(str(error)) < 20_000, error


NAME = re.compile(
    r'(?P<network>\w+?_(?P<depth>\d{2,3}))(_(?P<stream>flow|twostream))?'
    r'_(?P<dataset>[a-z0-9]+)(_(?P<frames>\d+)f)?'
    r'(_from_(?P<source>[a-z0-9]+)|_(?P<weights>torchvision))?'
)


def parse_config_name(name: str) -> tuple:
    """Parse a config's name: network, stream, dataset, frames and pretraining."""
    match = NAME.fullmatch(name)
    assert match, f'{name} is not named as DESIGN says'
    depth = 18 if match['dataset'] == 'motion' else int(match['depth'])
    frames = int(match['frames'] or CLIP_LEN[depth])
    return match['network'], match['stream'], match['dataset'], frames, match['source']

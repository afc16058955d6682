"""Encode videos as small looping pictures."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from ...datasets.video_reader import VideoReader

WIDTH = 160
FRAMES = 16


def loop(frames: np.ndarray, seconds: float) -> str:
    """Encode frames, T x H x W x 3 uint8 RGB, as a data URI of an animated WebP 160 pixels wide.

    ``seconds`` is their duration in the video; the loop takes 1.5 to 4 seconds.
    """
    height = max(1, WIDTH * frames.shape[1] // frames.shape[2])
    first, *others = (Image.fromarray(frame).resize((WIDTH, height)) for frame in frames)
    duration = round(1000 * min(max(seconds, 1.5), 4) / len(frames))
    buffer = io.BytesIO()
    first.save(
        buffer,
        'WEBP',
        save_all=True,
        append_images=others,
        duration=duration,
        loop=0,
        quality=40,
        method=4,
    )
    return 'data:image/webp;base64,' + base64.b64encode(buffer.getvalue()).decode()


def video_loop(video: Path) -> str:
    """Encode frames of a whole video as a loop; raise a VideoInputError if it does not decode."""
    with VideoReader(video) as reader:
        count = len(reader)
        numbers = np.linspace(0, count - 1, min(count, FRAMES)).round().astype(int)
        return loop(reader.read(numbers.tolist()), count / (reader.fps or 25))


def heat_loop(frames: np.ndarray, heat: np.ndarray) -> str:
    """Encode a clip, T x H x W x 3 uint8 RGB, with a heat map overlay, T x H x W, 0 to 1."""
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), FRAMES)).round().astype(int)
    frames, heat = frames[chosen], heat[chosen, ..., None]
    colours = 255 * matplotlib.colormaps['inferno'](heat[..., 0])[..., :3]
    return loop(((1 - 0.6 * heat) * frames + 0.6 * heat * colours).astype(np.uint8), 0)

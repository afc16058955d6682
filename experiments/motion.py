"""The motion dataset: video files whose classes differ only in motion.

Each video shows one random texture under one camera motion. Texture, position,
angle and scale of every single frame have the same distribution in all
classes, and all are rendered by the same warp. Therefore a network that sees
single frames, or frames without their order, cannot exceed chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from r21d_plugin._errors import InputError
from r21d_plugin.datasets.workers import worker_pool


class Motion(NamedTuple):
    """The change of the image by a camera motion, per frame.

    Attributes:
        shift (tuple[float, float]): Movement to the right and down, in pixels.
        turn (float): Clockwise rotation, in degrees.
        zoom (int): 1 if the image grows, -1 if it shrinks, 0 otherwise.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    zoom: int = 0


MOTIONS = {
    'right': Motion(shift=(1.0, 0.0)),
    'left': Motion(shift=(-1.0, 0.0)),
    'down': Motion(shift=(0.0, 1.0)),
    'up': Motion(shift=(0.0, -1.0)),
    'right_fast': Motion(shift=(3.0, 0.0)),
    'left_fast': Motion(shift=(-3.0, 0.0)),
    'clockwise': Motion(turn=4.0),
    'counterclockwise': Motion(turn=-4.0),
    'zoom_in': Motion(zoom=1),
    'zoom_out': Motion(zoom=-1),
}
"""Motion of each class; the label of a class is its position."""

SIZE = 64
FRAMES = 40
FPS = 25
SCALES = (0.6, 1.8)
"""Smallest and largest size of the texture; zooming videos go from one to the other."""


def render(motion: Motion, rng: np.random.Generator) -> np.ndarray:
    """Render one video.

    Args:
        motion (Motion): The motion of its class, up to 20% faster or slower.
        rng (Generator): Source of texture, position, angle, scale and speed.

    Returns:
        ndarray: 40 x 64 x 64 x 3 uint8, BGR.
    """
    canvas = texture(rng)
    speed = rng.uniform(0.8, 1.2)
    centre = rng.uniform(0, len(canvas), 2)
    angle = rng.uniform(0, 360)
    # A zooming video passes through all scales; other videos stay at one scale.
    place = rng.uniform()
    low, high = np.log(SCALES)
    frames = []
    for t in range(FRAMES):
        if motion.zoom:
            place = t / (FRAMES - 1) if motion.zoom > 0 else 1 - t / (FRAMES - 1)
        scale = np.exp(low + (high - low) * place)
        shift = np.array(motion.shift) * speed * (t - FRAMES / 2)
        frames.append(view(canvas, centre, angle + motion.turn * speed * t, scale, shift))
    return np.stack(frames)


def view(
    canvas: np.ndarray,
    centre: np.ndarray,
    angle: float,
    scale: float,
    shift: np.ndarray,
    size: int = SIZE,
) -> np.ndarray:
    """View the canvas, which is repeated periodically, through a square window.

    Args:
        canvas (ndarray): H x W x 3.
        centre (ndarray): Point of the canvas in the middle of the window, x and y.
        angle (float): Clockwise rotation of the image, in degrees.
        scale (float): Size of the image relative to the canvas.
        shift (ndarray): Movement of the image, right and down, in pixels.
        size (int): Height and width of the window, in pixels. Defaults to 64.

    Returns:
        ndarray: size x size x 3.
    """
    radians = np.deg2rad(angle)
    cos, sin = np.cos(radians) / scale, np.sin(radians) / scale
    to_canvas = np.array([[cos, sin], [-sin, cos]])
    offset = centre - to_canvas @ (shift + size / 2)
    return cv2.warpAffine(
        canvas,
        np.column_stack([to_canvas, offset]),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )


def texture(rng: np.random.Generator, size: int = 256, cutoff: float = 0.12) -> np.ndarray:
    """Draw smooth isotropic colour noise with periodic edges.

    Args:
        rng (Generator): Random number generator.
        size (int): Height and width, in pixels. Defaults to 256.
        cutoff (float): Frequency beyond which there is little, in cycles per pixel. Defaults to
            0.12.

    Returns:
        ndarray: size x size x 3 uint8.
    """
    noise = np.fft.rfft2(rng.standard_normal((3, size, size), np.float32))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    band = np.exp(-((frequency / cutoff) ** 2)) * (frequency > 0.01)
    smooth = np.fft.irfft2(noise * band.astype(np.float32)).transpose(1, 2, 0)
    bright = 127 + 55 * smooth / smooth.std(axis=(0, 1))
    return np.ascontiguousarray(bright.clip(0, 255), np.uint8)


def write_video(path: Path, frames: np.ndarray) -> None:
    """Encode frames, T x H x W x 3 BGR, as MPEG-4; write the file atomically."""
    partial = path.with_name(f'.partial.{path.name}')
    fourcc = cv2.VideoWriter_fourcc(*'mp4v')  # type: ignore[attr-defined]
    writer = cv2.VideoWriter(str(partial), fourcc, FPS, (frames.shape[2], frames.shape[1]))
    for frame in frames:
        writer.write(frame)
    writer.release()
    partial.rename(path)


def make_video(
    motions: Mapping[str, Motion], folder: Path, split: str, index: int, seed: int
) -> str:
    """Render and write one video.

    Returns:
        str: The video's line in the annotation file.
    """
    label = index % len(motions)
    name = f'{index:05d}.mp4'
    rng = np.random.default_rng([seed, split == 'val', index])
    write_video(folder / name, render(list(motions.values())[label], rng))
    return f'{name} {label}\n'


def make_dataset(
    out: Path,
    train: int = 1000,
    val: int = 200,
    seed: int = 0,
    workers: int = 1,
    motions: Mapping[str, Motion] = MOTIONS,
) -> Iterator[str]:
    """Write a dataset in MMAction2's folder layout, one video at a time.

    ``videos_train/``, ``videos_val/`` and, after all videos,
    ``motion_train_list_videos.txt``, ``motion_val_list_videos.txt`` and
    ``label_map_motion.txt``. The content of a file depends only on the seed,
    its split and its number.

    Args:
        out (Path): Folder to write to.
        train (int): Number of training videos. Defaults to 1000.
        val (int): Number of validation videos. Defaults to 200.
        seed (int): Seed. Defaults to 0.
        workers (int): Number of processes. Defaults to 1.
        motions (Mapping[str, Motion]): The classes. Defaults to all.

    Yields:
        str: The annotation of each video after it was written.

    Raises:
        InputError: If a number is not positive or the folder cannot be written.
    """
    if min(train, val, workers) < 1 or seed < 0:
        raise InputError('train, val and workers must be at least 1 and the seed at least 0')
    try:
        lists: dict[str, list[str]] = {'train': [], 'val': []}
        with worker_pool(workers) as pool:
            for split, count in (('train', train), ('val', val)):
                folder = out / f'videos_{split}'
                folder.mkdir(parents=True, exist_ok=True)
                tasks = repeat(motions), repeat(folder), repeat(split), range(count), repeat(seed)
                for line in pool.map(make_video, *tasks, chunksize=8):
                    lists[split].append(line)
                    yield line
        for split, lines in lists.items():
            (out / f'motion_{split}_list_videos.txt').write_text(''.join(lines))
        (out / 'label_map_motion.txt').write_text('\n'.join(motions) + '\n')
    except OSError as error:
        raise InputError(f'{out}: cannot write the dataset there: {error.strerror}') from error

"""A harder motion dataset, on which networks can be ranked.

A round window shows a moving texture. Behind it is a background that moves
with the camera, and in front of it a small disc with its own motion; noise is
added. The content of the window defines the class: a pattern that a single
frame shows, a motion that a few frames show, or two motions in order, with a
rest of more than eight frames in between. Single frames of classes that
require motion are indistinguishable.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from experiments.motion import SIZE, Motion, VideoSet, texture, view

FRAMES = 64
REST = 12
"""Frames of rest between two motions."""

APPEARANCE, SHORT, LONG = 'appearance', 'short motion', 'long motion'


class Action(NamedTuple):
    """The content of the window.

    Attributes:
        requires (str): What a network has to see to recognise the class:
            ``'appearance'``, a single frame; ``'short motion'``, a few frames;
            ``'long motion'``, parts of both motions, which are at least 13
            frames apart.
        motions (tuple[Motion, ...]): One motion, or two in order. Empty: the
            motions of any other class.
        pattern (str): ``'noise'``, ``'stripes'`` or ``'checks'``.
    """

    requires: str
    motions: tuple[Motion, ...] = ()
    pattern: str = 'noise'


def _direction(right: float, down: float) -> Motion:
    return Motion(shift=(right, down))


def _actions() -> dict[str, Action]:
    axes = dict(right=(1, 0), left=(-1, 0), down=(0, 1), up=(0, -1))
    actions = {
        'stripes': Action(APPEARANCE, pattern='stripes'),
        'checks': Action(APPEARANCE, pattern='checks'),
    }
    for suffix, speed in (('', 1.0), ('_fast', 2.5)):
        for name, (x, y) in axes.items():
            actions[name + suffix] = Action(SHORT, (_direction(speed * x, speed * y),))
    reversals = [
        ('up_right', _direction(1.2, -1.2), 'down_left', _direction(-1.2, 1.2)),
        ('up_left', _direction(-1.2, -1.2), 'down_right', _direction(1.2, 1.2)),
        ('clockwise', Motion(turn=6.0), 'counterclockwise', Motion(turn=-6.0)),
    ]
    for one, motion, other, reverse in reversals:
        actions[f'{one}_then_{other}'] = Action(LONG, (motion, reverse))
        actions[f'{other}_then_{one}'] = Action(LONG, (reverse, motion))
    return actions


ACTIONS = _actions()
"""Definition of each class; its label is its position."""


def render(action: Action, rng: np.random.Generator) -> np.ndarray:
    """Render one video.

    Args:
        action (Action): Content of the window; motions are up to 20% faster or slower.
        rng (Generator): Random number generator for everything else.

    Returns:
        ndarray: 64 x 64 x 64 x 3 uint8, BGR.
    """
    moving = [other.motions for other in ACTIONS.values() if other.motions]
    motions = action.motions or moving[rng.integers(len(moving))]
    camera = path(rng.normal(0, 0.1, 2) + rng.normal(0, 0.05, (FRAMES, 2)))
    speeds = schedule(motions, rng) * rng.uniform(0.8, 1.2)
    shifts, angles = path(speeds[:, :2]) + camera, path(speeds[:, 2])
    scene = moved(texture(rng), rng, camera, np.zeros(FRAMES))
    inside = moved(PATTERNS[action.pattern](rng), rng, shifts, angles)
    mask = window(rng)
    frames = scene * (1 - mask) + inside * mask
    add_distractor(frames, rng)
    frames += rng.normal(0, 5, frames.shape)
    return frames.clip(0, 255).astype(np.uint8)


def schedule(motions: tuple[Motion, ...], rng: np.random.Generator) -> np.ndarray:
    """Compute the speeds of one motion, or of two with a rest in between.

    Returns:
        ndarray: 64 x 3: pixels to the right and down and degrees per frame.
    """
    first, *second = (np.array([*motion.shift, motion.turn]) for motion in motions)
    speeds = np.tile(first, (FRAMES, 1))
    if second:
        start = rng.integers(22, 31)
        speeds[start : start + REST] = 0
        speeds[start + REST :] = second[0]
    return speeds


def path(speeds: np.ndarray) -> np.ndarray:
    """Integrate speeds to positions, which are 0 in the middle of the video."""
    places = np.cumsum(speeds, axis=0)
    return places - places[FRAMES // 2]


def moved(
    canvas: np.ndarray,
    rng: np.random.Generator,
    shifts: np.ndarray,
    angles: np.ndarray,
) -> np.ndarray:
    """Move a canvas from a random place and angle.

    Args:
        canvas (ndarray): H x W x 3.
        rng (Generator): Random number generator for place, angle and scale.
        shifts (ndarray): 64 x 2, pixels to the right and down.
        angles (ndarray): 64 degrees, clockwise.

    Returns:
        ndarray: 64 x 64 x 64 x 3 float32.
    """
    centre, angle = rng.uniform(0, len(canvas), 2), rng.uniform(0, 360)
    scale = rng.uniform(0.8, 1.3)
    turned = zip(angle + angles, shifts)
    views = [view(canvas, centre, a, scale, s) for a, s in turned]
    return np.stack(views).astype(np.float32)


def window(rng: np.random.Generator) -> np.ndarray:
    """Draw a round window with soft edges, 64 x 64 x 1: 1 inside and 0 outside."""
    x, y = SIZE / 2 + rng.uniform(-4, 4, 2)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(columns - x, rows - y)
    return np.clip(rng.uniform(28, 34) - distance, 0, 1)[..., None].astype(np.float32)


def add_distractor(frames: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a disc that crosses the picture repeatedly into frames, in place."""
    place, speed = rng.uniform(0, SIZE, 2), rng.uniform(-2, 2, 2)
    radius, colour = int(rng.integers(3, 6)), rng.uniform(0, 255, 3).tolist()
    for t, frame in enumerate(frames):
        x, y = (int(v) for v in (place + speed * t) % SIZE)
        cv2.circle(frame, (x, y), radius, colour, cv2.FILLED, cv2.LINE_AA)


def grating(rng: np.random.Generator, crossed: bool) -> np.ndarray:
    """Draw stripes (or checks, if ``crossed``) in random colours with noise."""
    wave = np.sin(2 * np.pi * 28 * np.arange(256) / 256)
    pattern = np.outer(wave, wave) if crossed else np.tile(wave, (256, 1))
    contrast = rng.uniform(20, 45, 3) * rng.choice([-1, 1], 3)
    drawn = texture(rng) * 0.6 + 50 + pattern[..., None] * contrast
    return drawn.clip(0, 255).astype(np.uint8)


PATTERNS = {
    'noise': texture,
    'stripes': lambda rng: grating(rng, crossed=False),
    'checks': lambda rng: grating(rng, crossed=True),
}
"""Functions that draw the canvas of each pattern, 256 x 256 x 3."""

HARD_MOTION = VideoSet(ACTIONS, render)
"""The harder motion dataset."""

"""The videos of the study: moving textures, whose classes need appearance, motion or both.

A texture of some grain fills the picture and moves. A single frame shows the grain and says nothing
about the motion. For a sixth of a video it shows another class, like the moments of a real video
that its label does not describe, and noise is added.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

from experiments.motion import Motion, texture, view

SIZE = 40
"""Height and width of a video, in pixels."""
FRAMES = 96
CANVAS = 128
"""Height and width of a texture, which repeats periodically."""
CYCLE = (12, 12, 8)
"""Frames of the first of two motions, of the second, and of rest, which repeat in this order."""
INTERRUPTION = 8
"""Frames for which a video shows another class; there are two such parts."""
NOISE = 10.0
"""Standard deviation of the noise, in levels of 0 to 255."""

Motions = Tuple[Motion, ...]
"""One motion, or two in turn."""

PATTERN, MOTION, BOTH, ORDER = 'pattern', 'motion', 'both', 'order'
REQUIREMENTS = (PATTERN, MOTION, BOTH, ORDER)
"""What has to be recognised: the grain, one motion, both, or which of two motions is first."""


class Action(NamedTuple):
    """A class.

    Attributes:
        requires (str): What a network has to recognise, one of ``REQUIREMENTS``.
        grains (tuple[float, ...]): Grains of its videos, the highest frequency of their textures
            in cycles per pixel.
        motions (tuple[Motions, ...]): Motions of its videos.
    """

    requires: str
    grains: tuple[float, ...]
    motions: tuple[Motions, ...]


SLOW = [Motion(shift=shift) for shift in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))]
FAST = [
    *(Motion(shift=(3.0, 0.0)), Motion(shift=(-3.0, 0.0))),
    *(Motion(turn=4.0), Motion(turn=-4.0)),
]
DIAGONAL = Motion(shift=(1.5, 1.5)), Motion(shift=(-1.5, -1.5))
GRAINS = (0.09, 0.16)
SINGLE = tuple((motion,) for motion in (*SLOW, *FAST))

ACTIONS = [
    *(Action(PATTERN, (grain,), SINGLE) for grain in (0.05, 0.25)),
    *(Action(MOTION, GRAINS, ((motion,),)) for motion in SLOW),
    *(Action(BOTH, (grain,), ((motion,),)) for motion in FAST for grain in GRAINS),
    *(Action(ORDER, GRAINS, (order,)) for order in (DIAGONAL, DIAGONAL[::-1])),
]
"""The classes; the label of a class is its position."""


def make_videos(count: int, seed: int, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Make videos, whose classes are equally frequent.

    Args:
        count (int): Number of videos.
        seed (int): Seed.
        split (str): ``'train'``, ``'val'`` or ``'test'``, which share no video.

    Returns:
        tuple[ndarray, ndarray]: Videos, count x 96 x 40 x 40 x 3 uint8, and labels, count.
    """
    labels = np.arange(count) % len(ACTIONS)
    videos = np.empty((count, FRAMES, SIZE, SIZE, 3), np.uint8)
    for index, label in enumerate(labels):
        rng = np.random.default_rng([seed, ('train', 'val', 'test').index(split), index])
        videos[index] = render(ACTIONS[label], rng)
    return videos, labels


def render(action: Action, rng: np.random.Generator) -> np.ndarray:
    """Render one video, 96 x 40 x 40 x 3 uint8."""
    frames = moving(action, rng)
    other = moving(ACTIONS[rng.integers(len(ACTIONS))], rng)
    hidden = interrupted(rng)
    frames[hidden] = other[hidden]
    frames += NOISE * rng.standard_normal(frames.shape, np.float32)
    return frames.clip(0, 255).astype(np.uint8)


def moving(action: Action, rng: np.random.Generator) -> np.ndarray:
    """Draw a moving texture, 96 x 40 x 40 x 3 float32; it is up to 20% faster or slower."""
    motions = action.motions[rng.integers(len(action.motions))]
    grain = action.grains[rng.integers(len(action.grains))]
    places = np.cumsum(schedule(motions, rng) * rng.uniform(0.8, 1.2), axis=0)
    places -= places[FRAMES // 2]
    canvas = texture(rng, CANVAS, grain)
    centre, angle = rng.uniform(0, CANVAS, 2), rng.uniform(0, 360)
    scale = rng.uniform(0.8, 1.3)
    views = [view(canvas, centre, angle + p[2], scale, p[:2], SIZE) for p in places]
    return np.stack(views).astype(np.float32)


def schedule(motions: Motions, rng: np.random.Generator) -> np.ndarray:
    """Compute the speeds of one motion, or of two in turn, from a random moment.

    Returns:
        ndarray: 96 x 3: pixels to the right and down, and degrees clockwise, per frame.
    """
    speeds = np.array([*([*motion.shift, motion.turn] for motion in motions), [0.0, 0.0, 0.0]])
    if len(motions) == 1:
        return np.tile(speeds[0], (FRAMES, 1))
    cycle = np.repeat(speeds, CYCLE, axis=0)
    return cycle[(np.arange(FRAMES) + rng.integers(len(cycle))) % len(cycle)]


def interrupted(rng: np.random.Generator) -> np.ndarray:
    """Choose the frames that show another class, 96 bool: a part of each half of the video."""
    half = FRAMES // 2
    starts = rng.integers(0, half - INTERRUPTION + 1, 2) + np.array([0, half])
    frames = np.arange(FRAMES)[:, None]
    return ((frames >= starts) & (frames < starts + INTERRUPTION)).any(axis=1)

"""Draw docs/motion.svg: a texture of the motion dataset that moves right and left.

Run ``python -m experiments.motion_picture`` in a checkout.
"""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np

from experiments.motion import FRAMES, MOTIONS, render

CLASSES = ('right_fast', 'left_fast')
SHOWN = range(0, FRAMES, 5)  # frames in a row; the videos meet at number 20
SIDE, GAP, MARGIN = 88, 6, 90  # sizes of and around a frame, in the units of the picture


def frame_element(frame: np.ndarray, row: int, column: int) -> str:
    """Embed a frame, H x W x 3 BGR, at its place in the grid."""
    _, jpeg = cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, 80])
    x, y = MARGIN + column * (SIDE + GAP), row * (SIDE + GAP)
    uri = 'data:image/jpeg;base64,' + base64.b64encode(jpeg.tobytes()).decode()
    return f'<image x="{x}" y="{y}" width="{SIDE}" height="{SIDE}" href="{uri}"/>'


def picture() -> str:
    """Draw both videos from the same random numbers, with one row of frames each."""
    elements = []
    for row, name in enumerate(CLASSES):
        y = row * (SIDE + GAP) + SIDE // 2 + 5
        elements.append(f'<text x="0" y="{y}" fill="#808080">{name.replace("_", " ")}</text>')
        video = render(MOTIONS[name], np.random.default_rng(0))
        elements += [frame_element(video[t], row, i) for i, t in enumerate(SHOWN)]
    width, height = MARGIN + len(SHOWN) * (SIDE + GAP) - GAP, 2 * SIDE + GAP
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    style = 'font-family="sans-serif" font-size="18"'
    body = '\n'.join(elements)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'


if __name__ == '__main__':
    (Path(__file__).parents[1] / 'docs/motion.svg').write_text(picture())

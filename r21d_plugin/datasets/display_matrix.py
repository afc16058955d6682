"""Turn and mirror pictures as a video's display matrix says."""

from __future__ import annotations

from math import atan2, degrees, hypot

import cv2
import numpy as np
from av.video.frame import VideoFrame


def display_matrix(picture: VideoFrame) -> tuple[int, ...] | None:
    """The 3 x 3 display matrix of a picture, row by row, in 16.16 and 2.30 fixed point."""
    data = picture.side_data
    if 'DISPLAYMATRIX' not in data:
        return None
    return tuple(np.frombuffer(bytes(data['DISPLAYMATRIX']), np.int32).tolist())  # type: ignore[typeddict-item]


def turn(image: np.ndarray, matrix: tuple[int, ...] | None) -> np.ndarray:
    """Turn and mirror an H x W x C image as the ``ffmpeg`` program does.

    By other angles than multiples of 90 degrees, an image is turned within its size, on black.
    """
    if matrix is None:
        return image
    a, b, _, c, d = matrix[:5]  # x, y goes to a x + c y, b x + d y
    angle = round(degrees(atan2(b / (hypot(b, d) or 1), a / (hypot(a, c) or 1)))) % 360
    if angle % 90:
        height, width = image.shape[:2]
        rotation = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
        turned: np.ndarray = cv2.warpAffine(image, rotation, (width, height))
        return turned
    if angle in (90, 270):
        image, a, d = cv2.transpose(image), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])

"""Videos, written frame by frame."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from .._atomic import written_whole
from .._errors import InputError


@contextmanager
def film(
    path: Path, fps: float, size: tuple[int, int], parents: bool = False
) -> Iterator[Callable[[np.ndarray], object]]:
    """Write a video, which appears when it is complete.

    Args:
        path (Path): The video, .mp4 or .avi.
        fps (float): Frames a second.
        size (tuple[int, int]): Width and height.
        parents (bool): Whether to make its folder if there is none. Defaults to
            False.

    Yields:
        Callable: Function that writes a frame, H x W x 3 uint8, RGB.

    Raises:
        InputError: If it cannot be written.
    """
    with written_whole(path, parents) as partial:
        fourcc = cv2.VideoWriter_fourcc(*'mp4v')  # type: ignore[attr-defined]
        writer = cv2.VideoWriter(str(partial), fourcc, fps, size)
        if not writer.isOpened():
            raise InputError(f'{path}: cannot write a video there')
        try:
            yield lambda frame: writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        finally:
            writer.release()

"""Pictures written atomically."""

from pathlib import Path

import cv2
import numpy as np

from ._atomic import written_whole
from ._errors import InputError


def write_picture(path: Path | str, picture: np.ndarray) -> None:
    """Write a picture, as :func:`written_whole` does.

    OpenCV's own ``imwrite`` does not say why it fails, and says that all is well
    where the end of a picture, which it buffers, is lost.

    Args:
        path (Path): The file; its extension names the format.
        picture (ndarray): Picture, H x W x 3, in OpenCV's order of colours.

    Raises:
        InputError: If it cannot be written.
    """
    with written_whole(Path(path)) as partial:
        try:
            partial.write_bytes(cv2.imencode(partial.suffix, picture)[1].tobytes())
        except cv2.error as error:
            raise InputError(f'{path}: cannot write a picture there: {error.err}') from error

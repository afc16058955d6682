"""Flow on disk: one file for each video."""

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from .._atomic import atomic_write
from .._errors import InputError

SUFFIX = '.flow.zip'
"""What a video's file of flow has after the name of the video."""

STEP = 1 / 16
"""Step in pixels that stored flow is rounded to: it is off by at most half of it."""

ZERO = 2**15
"""What no motion is stored as."""

HEADER = 'flow.json'


class StoredFlow:
    """The flow of a video from each frame to the next, as :func:`write_flow` writes it.

    A zip archive of a 16-bit grayscale TIFF (LZW) for each field, the horizontal displacement above
    the vertical one, in steps of :data:`STEP`, and of ``flow.json``, which has the attributes
    below.

    Attributes:
        frames (int): Frames of the video, one more than fields.
        size (tuple[int, int]): Width and height of a field.
        video_bytes (int): Size of the video's file.

    Raises:
        InputError: If the file is not such a file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.archive = zipfile.ZipFile(path)
            header = json.loads(self.archive.read(HEADER))
            self.frames, self.step = header['frames'], header['step']
            self.video_bytes = header['video_bytes']
            self.size = (header['width'], header['height'])
        except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f'{path}: not a file of flow: delete it and extract it again'
            ) from error

    def read(self, index: int) -> np.ndarray:
        """Read the flow from a frame to the next, H x W x 2 float32, in pixels."""
        try:
            content = np.frombuffer(self.archive.read(field_name(index)), np.uint8)
        except (KeyError, zipfile.BadZipFile) as error:
            raise InputError(f'{self.path}: field {index} is damaged: extract it again') from error
        image = np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED))
        field = np.dstack(np.split(image, 2)).astype(np.float32)
        return (field - ZERO) * np.float32(self.step)


def find_flow(root: Path, video: Path) -> StoredFlow:
    """Open the stored flow of a video.

    Below the root it has the path that the video has below the folder that was extracted, so this
    tries the longest possible one first: for ``data/val/a.mp4`` ``data/val/a.mp4.flow.zip``,
    ``val/a.mp4.flow.zip`` and ``a.mp4.flow.zip``.

    Raises:
        InputError: If there is none, or it is not that of the video.
    """
    parts = video.parts[1:] if video.is_absolute() else video.parts
    paths = (root.joinpath(*parts[start:]) for start in range(len(parts)))
    files = (path.with_name(path.name + SUFFIX) for path in paths)
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        raise InputError(
            f'{video}: no flow of it in {root}: extract it with tools/data/extract_flow.py'
        )
    flow = StoredFlow(path)
    if video.exists() and video.stat().st_size != flow.video_bytes:
        raise InputError(
            f'{path}: flow of another video than {video}, or of an earlier version: '
            'extract it again'
        )
    return flow


def write_flow(path: Path, fields: Iterable[np.ndarray], video_bytes: int) -> None:
    """Store the flow of a video atomically.

    Args:
        path (Path): File to write.
        fields (Iterable[ndarray]): Flow from each frame to the next, H x W x 2.
        video_bytes (int): Size of the video's file.

    Raises:
        InputError: If it cannot be written.
    """
    compression = [
        *(cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW),
        *(cv2.IMWRITE_TIFF_PREDICTOR, cv2.IMWRITE_TIFF_PREDICTOR_HORIZONTAL),
    ]
    with atomic_write(path, parents=True) as partial, zipfile.ZipFile(partial, 'w') as archive:
        for index, field in enumerate(fields):
            steps = np.rint(np.concatenate([field[..., 0], field[..., 1]]) / STEP) + ZERO
            steps = steps.clip(0, 2 * ZERO - 1).astype(np.uint16)
            image = cv2.imencode('.tiff', steps, compression)[1]
            archive.writestr(field_name(index), image.tobytes())
        height, width = field.shape[:2]
        size = dict(width=width, height=height)
        header = dict(frames=index + 2, **size, step=STEP, video_bytes=video_bytes)
        archive.writestr(HEADER, json.dumps(header))


def field_name(index: int) -> str:
    """Name of a field in the archive."""
    return f'{index:06d}.tiff'

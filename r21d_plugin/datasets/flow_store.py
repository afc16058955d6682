"""Flow storage on disk, one file for each video."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from .._atomic import atomic_write
from .._errors import InputError

SUFFIX = '.flow.zip'  # suffix of flow files, appended to the name of a video
STEP = 1 / 16  # quantisation step of stored flow in pixels; the error is at most half of it
ZERO = 2**15  # stored value of zero flow


class StoredFlow:
    """The stored flow of a video from each frame to the next, written by :func:`write_flow`.

    The file is a zip archive. It has a 16-bit grayscale TIFF (LZW) for each field, with the
    horizontal displacement above the vertical one, in steps of :data:`STEP`. Its ``flow.json`` has
    the number of frames of the video (one more than fields), width and height of a field, the step,
    and the size of the video file in bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.archive = zipfile.ZipFile(path)
            header = json.loads(self.archive.read('flow.json'))
            self.frames, self.step = header['frames'], header['step']
            self.video_bytes = header['video_bytes']
            self.size = (header['width'], header['height'])
        except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            message = f'{path}: not a flow file: delete it and extract it again'
            raise InputError(message) from error

    def read(self, index: int) -> np.ndarray:
        """Read the flow from a frame to the next, H x W x 2 float32, in pixels."""
        try:
            content = np.frombuffer(self.archive.read(f'{index:06d}.tiff'), np.uint8)
        except (KeyError, zipfile.BadZipFile) as error:
            raise InputError(f'{self.path}: field {index} is damaged: extract it again') from error
        image = np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED))
        field = np.dstack(np.split(image, 2)).astype(np.float32)
        return (field - ZERO) * np.float32(self.step)


def find_flow(root: Path, video: Path) -> StoredFlow:
    """Open the stored flow of a video; raise an InputError if it is missing or does not match.

    Flow files have the video's path relative to the extracted folder, so for ``data/val/a.mp4``
    this function tries ``data/val/a.mp4.flow.zip``, ``val/a.mp4.flow.zip`` and ``a.mp4.flow.zip``.
    """
    file = video.with_name(video.name + SUFFIX)
    parts = file.parts[1:] if file.is_absolute() else file.parts
    paths = (root.joinpath(*parts[start:]) for start in range(len(parts)))
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        tool = 'tools/data/extract_flow.py'
        raise InputError(f'{video}: no flow in {root}: extract it with {tool}')
    flow = StoredFlow(path)
    if video.exists() and video.stat().st_size != flow.video_bytes:
        raise InputError(f'{path}: flow of another video than {video}: extract it again')
    return flow


def write_flow(path: Path, fields: Iterable[np.ndarray], video_bytes: int) -> None:
    """Store the flow fields of a video, H x W x 2 each, and the size of its file, atomically."""
    compression = [
        *(cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW),
        *(cv2.IMWRITE_TIFF_PREDICTOR, cv2.IMWRITE_TIFF_PREDICTOR_HORIZONTAL),
    ]
    with atomic_write(path, parents=True) as partial, zipfile.ZipFile(partial, 'w') as archive:
        for index, field in enumerate(fields):
            steps = np.rint(np.concatenate([field[..., 0], field[..., 1]]) / STEP) + ZERO
            steps = steps.clip(0, 2 * ZERO - 1).astype(np.uint16)
            image = cv2.imencode('.tiff', steps, compression)[1]
            archive.writestr(f'{index:06d}.tiff', image.tobytes())
        size = dict(height=field.shape[0], width=field.shape[1])
        header = dict(frames=index + 2, **size, step=STEP, video_bytes=video_bytes)
        archive.writestr('flow.json', json.dumps(header))

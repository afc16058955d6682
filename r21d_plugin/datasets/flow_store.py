"""Flow on disk: one file for each video, or folders of JPEGs as MMAction2 has them."""

import json
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from .._atomic import written_whole
from .._errors import InputError

SUFFIX = '.flow.zip'
"""What a video's file of flow has after the name of the video."""

STEP = 1 / 16
"""Step in pixels that stored flow is rounded to: it is off by at most half of it."""

ZERO = 2**15
"""What no motion is stored as."""

HEADER = 'flow.json'


class FlowReader(Protocol):
    """The flow of a video from each frame to the next.

    Attributes:
        frames (int): Frames of the video, one more than fields.
        size (tuple[int, int]): Width and height of a field.
    """

    frames: int
    size: tuple[int, int]

    def read(self, index: int) -> np.ndarray:
        """Flow from a frame to the next, H x W x 2 float32, in pixels."""

    def check(self, video: Path) -> None:
        """Raise an InputError if this is visibly not the flow of the video."""


class FlowFile:
    """Flow that ``tools/data/extract_flow.py`` has written.

    A zip archive of a 16-bit grayscale TIFF (LZW) for each field, the
    horizontal displacement above the vertical one, in steps of :data:`STEP`,
    and of ``flow.json``: frames, width, height and step, and the bytes of the
    video.

    Args:
        path (Path): The file.
        size (tuple[int, int]): Width and height that the flow has to have.

    Raises:
        InputError: If it is not such a file, or of another size.
    """

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
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
        if self.size != size:
            raise InputError(
                f'{path}: flow of {in_words(self.size)} pixels where {in_words(size)} are needed: '
                'extract it again with another --scale, or decode to this one'
            )

    def read(self, index: int) -> np.ndarray:
        """Flow from a frame to the next, H x W x 2 float32, in pixels."""
        try:
            content = np.frombuffer(self.archive.read(name_of(index)), np.uint8)
        except (KeyError, zipfile.BadZipFile) as error:
            raise InputError(f'{self.path}: field {index} is damaged: extract it again') from error
        image = np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED))
        field = np.dstack(np.split(image, 2)).astype(np.float32)
        return (field - ZERO) * np.float32(self.step)

    def check(self, video: Path) -> None:
        """Compare the video's bytes, if it is there, with those that were extracted.

        Raises:
            InputError: If they differ.
        """
        if video.exists() and video.stat().st_size != self.video_bytes:
            raise InputError(
                f'{self.path}: flow of another video than {video}, or of an earlier version: '
                'extract it again'
            )


class FlowFolder:
    """Flow as ``flow_x_00001.jpg``, ``flow_y_00001.jpg`` and so on.

    denseflow numbers them from 0, the older tools that MMAction2 describes from
    1, and some leave out ``flow_``: all are read. Gray 0 to 255 is a
    displacement of -bound to bound. Fields of another size are resized, and
    their displacements with them.

    Args:
        path (Path): The folder of a video.
        size (tuple[int, int]): Width and height to resize to.
        bound (float): Largest displacement, in pixels. Defaults to 20.

    Raises:
        InputError: If the folder does not hold a complete set.
    """

    NAME = re.compile(r'(?:flow_)?([xy])_(\d+)\.(?:jpg|jpeg|png)')

    def __init__(self, path: Path, size: tuple[int, int], bound: float = 20.0) -> None:
        self.path = path
        self.size = size
        self.bound = bound
        matches = (self.NAME.fullmatch(file.name) for file in path.iterdir())
        names = {match.groups(): match[0] for match in matches if match}
        numbers = sorted({number for _, number in names}, key=int)
        if not numbers:
            raise InputError(f'{path}: no flow_x_00001.jpg and flow_y_00001.jpg in this folder')
        for expected, number in enumerate(numbers, start=min(int(numbers[0]), 1)):
            if int(number) != expected or len(names.keys() & {('x', number), ('y', number)}) < 2:
                raise InputError(
                    f'{path}: flow_x or flow_y number {expected} is missing: extract it again'
                )
        self.fields = [(names['x', number], names['y', number]) for number in numbers]
        self.frames = len(numbers) + 1

    def read(self, index: int) -> np.ndarray:
        """Flow from a frame to the next, H x W x 2 float32, in pixels."""
        flow = np.dstack([self._channel(name) for name in self.fields[index]])
        scale = np.divide(self.size, flow.shape[1::-1], dtype=np.float32)
        return cv2.resize(flow, self.size) * scale

    def _channel(self, name: str) -> np.ndarray:
        image = cv2.imread(str(self.path / name), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise InputError(f'{self.path / name}: not a readable image: extract it again')
        return image * np.float32(2 * self.bound / 255) - np.float32(self.bound)

    def check(self, video: Path) -> None:
        """Nothing in a folder tells which video it is of."""


def open_flow(
    root: Path, video: Path, size: tuple[int, int], bound: float = 20.0
) -> FlowFile | FlowFolder:
    """Open the stored flow of a video.

    Args:
        root (Path): Folder of stored flow.
        video (Path): The video.
        size (tuple[int, int]): Width and height of the fields.
        bound (float): See :class:`FlowFolder`. Defaults to 20.

    Raises:
        InputError: If there is none, or it is not that of the video.
    """
    path = find_flow(root, video)
    if path is None:
        raise InputError(
            f'{video}: no flow of it in {root}: extract it with tools/data/extract_flow.py'
        )
    flow = FlowFolder(path, size, bound) if path.is_dir() else FlowFile(path, size)
    flow.check(video)
    return flow


def find_flow(root: Path, video: Path) -> Path | None:
    """Where the flow of a video is stored, if it is.

    Below the root it has the path that the video has below the folder that was
    extracted, so this tries the longest possible one first: for
    ``data/val/a.mp4`` ``data/val/a.mp4.flow.zip``, ``val/a.mp4.flow.zip`` and
    ``a.mp4.flow.zip``, and the folder ``a`` in each of these places.
    """
    parts = video.parts[1:] if video.is_absolute() else video.parts
    for start in range(len(parts)):
        place = root.joinpath(*parts[start:])
        file, folder = place.with_name(place.name + SUFFIX), place.with_suffix('')
        if file.is_file():
            return file
        if folder.is_dir():
            return folder
    return None


def write_flow(path: Path, fields: Iterable[np.ndarray], video_bytes: int) -> None:
    """Store the flow of a video; the file appears when it is complete.

    Args:
        path (Path): File to write.
        fields (Iterable[ndarray]): Flow from each frame to the next, H x W x 2.
        video_bytes (int): Size of the video's file.

    Raises:
        InputError: If it cannot be written.
    """
    with (
        written_whole(path, parents=True) as partial,
        zipfile.ZipFile(partial, 'w', zipfile.ZIP_STORED) as archive,
    ):
        for index, field in enumerate(fields):
            archive.writestr(name_of(index), encode(field))
        header = dict(
            frames=index + 2,
            width=field.shape[1],
            height=field.shape[0],
            step=STEP,
            video_bytes=video_bytes,
        )
        archive.writestr(HEADER, json.dumps(header))


def encode(field: np.ndarray) -> bytes:
    """A field, H x W x 2, as a TIFF."""
    steps = np.rint(np.concatenate([field[..., 0], field[..., 1]]) / STEP) + ZERO
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_LZW]
    differences = [cv2.IMWRITE_TIFF_PREDICTOR, cv2.IMWRITE_TIFF_PREDICTOR_HORIZONTAL]
    steps = steps.clip(0, 2 * ZERO - 1).astype(np.uint16)
    return cv2.imencode('.tiff', steps, lzw + differences)[1].tobytes()


def name_of(index: int) -> str:
    """Name of a field in the archive."""
    return f'{index:06d}.tiff'


def in_words(size: tuple[int, int]) -> str:
    """A size as 171x128."""
    return f'{size[0]}x{size[1]}'

"""Decode the frames of a video's clips, each once."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import decord
import mmcv
import numpy as np
from mmaction.datasets.transforms import DecordInit
from mmcv.transforms import BaseTransform
from mmengine.fileio import FileClient

from .._errors import VideoInputError
from .._registries import TRANSFORMS
from .timeout import run_with_timeout

DECODE_ERRORS = (OSError, RuntimeError, StopIteration, decord.DECORDError)

TIMEOUT = 300.0
"""Seconds after which a video that neither opens nor decodes is given up."""

VIDEO_SUFFIXES = ('.avi', '.flv', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')
"""Extensions by which the files in a folder are taken for videos."""

open_video = partial(decord.VideoReader, fault_tol=1e-6)
"""decord.VideoReader that raises instead of silently repeating the previous frame when one fails
to decode.

Below 1 ``fault_tol`` is the accepted part of a video's frames; from 1 on their number.
"""


@contextmanager
def name_video_on_error(filename: str) -> Iterator[None]:
    """Turn an error of reading a video into one line that names it.

    Raises:
        VideoInputError: If the file is missing or does not decode.
    """
    name = filename if filename.isprintable() else ascii(filename)
    try:
        yield
    except FileNotFoundError as error:
        raise VideoInputError(
            f'{name}: no such video: correct the annotation file or data_prefix'
        ) from error
    except UnicodeEncodeError as error:
        raise VideoInputError(f'{name}: its name is not UTF-8: rename it') from error
    except decord.DECORDLimitReachedError as error:
        raise VideoInputError(
            f'{name}: has damaged frames or jumping timestamps: re-encode it or drop it from '
            'the annotation file'
        ) from error
    except TimeoutError as error:
        raise VideoInputError(
            f'{name}: did not decode in time: drop it from the annotation file, or raise the '
            'timeout of DecordClipInit and DecordClipDecode'
        ) from error
    except DECODE_ERRORS as error:
        raise VideoInputError(
            f'{name}: does not decode: replace the file or drop it from the annotation file'
        ) from error


@TRANSFORMS.register_module()
class DecordClipInit(DecordInit):
    """MMAction2's DecordInit, with an error of one line for a video that cannot be opened.

    decord 0.6.0 crashes the interpreter when it opens a truncated video from memory, as DecordInit
    does, and reports an error when it opens it from a file. So videos on disk are opened where they
    are, and those of another backend from a temporary file.

    Each time that decord fails to open a file it leaks up to 20 kB. So a video on disk that did not
    open is not tried again until the file changes.

    Args:
        io_backend (str): Where videos are stored, any of MMEngine's backends. Defaults to
            ``'disk'``.
        num_threads (int): Decoding threads. Defaults to 1.
        timeout (float): Seconds to wait for a video to open. Defaults to 300.
        **kwargs: Arguments of the backend.
    """

    def __init__(
        self,
        io_backend: str = 'disk',
        num_threads: int = 1,
        timeout: float = TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(io_backend, num_threads, **kwargs)
        self.timeout = timeout
        self.broken: set[tuple[str, int, int]] = set()

    def _get_video_reader(self, filename: str) -> decord.VideoReader:
        suffix = Path(filename).suffix
        if not suffix:
            suffix = '.mp4'
            filename += suffix
        if self.io_backend in ('disk', 'local'):
            return self._open_file(filename)
        if self.file_client is None:
            self.file_client: FileClient = FileClient(self.io_backend, **self.kwargs)
        content = self.file_client.get(filename)
        if content is None:  # how LMDB says that it has no such entry
            raise FileNotFoundError(filename)
        with NamedTemporaryFile(suffix=suffix) as file:
            file.write(content)
            file.flush()
            return self._open(file.name)

    def _open_file(self, path: str) -> decord.VideoReader:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # such as a pipe, which blocks when opened
            raise OSError('not a file')
        state = (path, status.st_size, status.st_mtime_ns)
        if state in self.broken:
            raise OSError('did not open before')
        try:
            return self._open(path)
        except DECODE_ERRORS:
            self.broken.add(state)
            raise

    def _open(self, path: str) -> decord.VideoReader:
        reader = partial(open_video, path, num_threads=self.num_threads)
        return run_with_timeout(reader, self.timeout)

    def transform(self, results: dict) -> dict:
        """Open ``filename``; add ``video_reader``, ``total_frames``, ``avg_fps``.

        Raises:
            VideoInputError: If the video is missing, does not open or is empty.
        """
        with name_video_on_error(results['filename']):
            results = super().transform(results)
            if results['total_frames'] == 0:
                raise RuntimeError('the video has no frames')
        return results


@TRANSFORMS.register_module()
class DecordClipDecode(BaseTransform):
    """Decode and resize each needed frame once, streaming forward.

    Gives the frames that MMAction2's ``DecordDecode`` and ``Resize(scale, keep_ratio=False)`` give,
    bit for bit. Those decode a frame again for every clip that contains it and hold all clips at
    full size; this one holds one full-size frame at a time.

    Required keys: ``video_reader``, ``frame_inds``, ``filename``. Optional key: ``decoded``, a dict
    of the frames of the previous call by their number, which this call reads and replaces, so that
    consecutive parts of a video share what they have in common. Added keys: ``imgs`` (a list of H x
    W x 3 uint8 arrays, RGB, none shared between entries), ``original_shape``, ``img_shape`` and
    ``decoded_shape`` (H, W), ``scale_factor``, ``keep_ratio``.

    Args:
        scale (tuple[int, int]): Width and height of the resized frames, aspect ratio not kept.
            Defaults to (171, 128), as in Section 4.1.
        interpolation (str): As in ``mmcv.imresize``. Defaults to ``'bilinear'``.
        timeout (float): Seconds to wait for the frames. Defaults to 300.
        decode (bool): Whether to decode. If not, only the shapes are added, which are all that a
            crop needs where flow is read from disk. Defaults to True.
    """

    def __init__(
        self,
        scale: tuple[int, int] = (171, 128),
        interpolation: str = 'bilinear',
        timeout: float = TIMEOUT,
        decode: bool = True,
    ) -> None:
        self.scale = tuple(scale)
        self.interpolation = interpolation
        self.timeout = timeout
        self.decode = decode

    def transform(self, results: dict) -> dict:
        """Decode the frames ``frame_inds`` points to.

        Raises:
            VideoInputError: If a frame does not decode.
        """
        reader, results['video_reader'] = results['video_reader'], None
        width, height = self.scale
        results['img_shape'] = results['decoded_shape'] = (height, width)
        if not self.decode:
            return results
        wanted, positions = np.unique(results['frame_inds'], return_inverse=True)
        frames = np.empty((len(wanted), height, width, 3), np.uint8)
        decoded = results.get('decoded', {})
        decoded.pop(int(wanted[-1]), None)  # the size of one frame has to be seen
        with name_video_on_error(results['filename']):
            decode = partial(self._decode, reader, wanted, decoded, frames)
            original_height, original_width = run_with_timeout(decode, self.timeout)
        decoded.clear()
        decoded.update(zip(wanted.tolist(), frames, strict=True))
        # Indexing copies: transforms such as Flip work in place, so no two entries may share
        # their memory.
        results['imgs'] = list(frames[positions.ravel()])
        results['original_shape'] = (original_height, original_width)
        results['keep_ratio'] = False
        results['scale_factor'] = np.array(
            [width / original_width, height / original_height], dtype=np.float32
        )
        return results

    def _decode(
        self,
        reader: decord.VideoReader,
        wanted: np.ndarray,
        decoded: dict[int, np.ndarray],
        frames: np.ndarray,
    ) -> tuple[int, int]:
        for resized, index in zip(frames, wanted, strict=True):
            if index in decoded:
                resized[:] = decoded[index]
                continue
            frame = read_frame(reader, int(index))
            mmcv.imresize(frame, self.scale, interpolation=self.interpolation, out=resized)
        return frame.shape[:2]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, interpolation={self.interpolation})'


def read_frame(reader: decord.VideoReader, index: int) -> np.ndarray:
    """Decode a frame, H x W x 3 uint8, RGB.

    decord 0.6.0 pads rows, and where their length is a multiple of the width, as for 48 pixels and
    for 1, it takes the padding for more channels.
    """
    frame = reader[index].asnumpy()
    height, width, _ = frame.shape
    return frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


def all_frames(filename: str, scale: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Decode a video from its first frame to its last.

    Args:
        filename (str): The video, a file.
        scale (tuple[int, int], optional): Width and height to resize frames to, as
            :class:`DecordClipDecode` does. Defaults to None: as they are.

    Yields:
        ndarray: H x W x 3 uint8, RGB.

    Raises:
        VideoInputError: If the video is missing or does not decode.
    """
    reader = DecordClipInit().transform(dict(filename=filename))['video_reader']
    for index in range(len(reader)):
        with name_video_on_error(filename):
            frame = run_with_timeout(partial(read_frame, reader, index), TIMEOUT)
        yield frame if scale is None else mmcv.imresize(frame, scale)

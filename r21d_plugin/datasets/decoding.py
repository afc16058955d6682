"""Decode the frames of a video's clips, each once."""

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Thread
from typing import TypeVar

import decord
import mmcv
import numpy as np
from mmaction.datasets.transforms import DecordInit
from mmcv.transforms import BaseTransform
from mmengine.fileio import FileClient

from .._errors import VideoInputError
from .._registries import TRANSFORMS

Result = TypeVar('Result')

TIMEOUT = 300.0  # seconds after which a video that neither opens nor decodes is given up

DECODE_ERRORS = (OSError, RuntimeError, StopIteration, decord.DECORDError)

REASONS = {
    FileNotFoundError: 'no such video: correct the annotation file or data_prefix',
    UnicodeEncodeError: 'its name is not UTF-8: rename it',
    decord.DECORDLimitReachedError: 'has damaged frames or jumping timestamps: re-encode it or '
    'drop it from the annotation file',
    TimeoutError: 'did not decode in time: drop it from the annotation file, or raise the timeout '
    'of DecordClipInit and DecordClipDecode',
    Exception: 'does not decode: replace the file or drop it from the annotation file',
}


@contextmanager
def name_video_on_error(filename: str) -> Iterator[None]:
    """Turn an error of reading a video into a VideoInputError of one line that names it."""
    try:
        yield
    except (UnicodeEncodeError, decord.DECORDLimitReachedError, *DECODE_ERRORS) as error:
        name = filename if filename.isprintable() else ascii(filename)
        reason = next(text for kind, text in REASONS.items() if isinstance(error, kind))
        raise VideoInputError(f'{name}: {reason}') from error


def run_with_timeout(function: Callable[[], Result], seconds: float) -> Result:
    """Call a function in a thread; a TimeoutError leaves it running, as nothing stops C code."""
    future: Future[Result] = Future()
    Thread(target=_run, args=(future, function), daemon=True).start()
    try:
        return future.result(seconds)
    finally:
        del future  # an exception raised here would refer to it, and it to the exception


def _run(future: Future, function: Callable[[], object]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
    finally:
        del future


@TRANSFORMS.register_module()
class DecordClipInit(DecordInit):
    """MMAction2's DecordInit, with an error of one line for a video that cannot be opened.

    decord 0.6.0 crashes on truncated videos in memory, which DecordInit gives it, but not on files.
    So videos of a backend that is not the disk are copied to temporary files. Each failure leaks
    some 20 kB, so a video on disk that did not open is not tried again until it changes.

    Args:
        io_backend (str): A backend of MMEngine that has the videos. Defaults to ``'disk'``.
        num_threads (int): Decoding threads. Defaults to 1.
        timeout (float): Seconds to wait for a video to open. Defaults to 300.
        **kwargs: Arguments of the backend.
    """

    def __init__(
        self, io_backend: str = 'disk', num_threads: int = 1, timeout: float = TIMEOUT, **kwargs
    ) -> None:
        super().__init__(io_backend, num_threads, **kwargs)
        self.timeout = timeout
        self.broken: set[tuple[str, int, int]] = set()

    def _get_video_reader(self, filename: str) -> decord.VideoReader:
        if not Path(filename).suffix:
            filename += '.mp4'
        if self.io_backend in ('disk', 'local'):
            return self._open_file(filename)
        if self.file_client is None:
            self.file_client: FileClient = FileClient(self.io_backend, **self.kwargs)
        content = self.file_client.get(filename)
        if content is None:  # how LMDB says that it has no such entry
            raise FileNotFoundError(filename)
        with NamedTemporaryFile(suffix=Path(filename).suffix) as file:
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
        # fault_tol is the part of the frames that may fail. By default any may, and decord silently
        # repeats the previous frame.
        reader = partial(decord.VideoReader, path, num_threads=self.num_threads, fault_tol=1e-6)
        return run_with_timeout(reader, self.timeout)

    def transform(self, results: dict) -> dict:
        """Open ``filename``; add ``video_reader``, ``total_frames`` and ``avg_fps``."""
        with name_video_on_error(results['filename']):
            results = super().transform(results)
            if results['total_frames'] == 0:
                raise RuntimeError('the video has no frames')
        return results


@TRANSFORMS.register_module()
class DecordClipDecode(BaseTransform):
    """Decode and resize each needed frame once, and hold none but one at full size.

    The frames are those of MMAction2's ``DecordDecode`` and ``Resize(scale, keep_ratio=False)``.

    Required keys: ``video_reader``, ``frame_inds``, ``filename``. Optional key: ``decoded``, the
    frames of the previous call by number, which this call reads and replaces. Added keys: ``imgs``
    (a list of H x W x 3 uint8 arrays, RGB, none shared between entries), ``original_shape``,
    ``img_shape`` and ``decoded_shape`` (H, W), ``scale_factor``, ``keep_ratio``.

    Args:
        scale (tuple[int, int]): Width and height of the resized frames. Defaults to (171, 128).
        interpolation (str): As in ``mmcv.imresize``. Defaults to ``'bilinear'``.
        timeout (float): Seconds to wait for the frames. Defaults to 300.
        decode (bool): Whether to decode, or only to add the shapes, which are all that a crop needs
            where flow is read from disk. Defaults to True.
    """

    def __init__(
        self,
        scale: tuple[int, int] = (171, 128),
        interpolation: str = 'bilinear',
        timeout: float = TIMEOUT,
        decode: bool = True,
    ) -> None:
        self.scale, self.interpolation = tuple(scale), interpolation
        self.timeout, self.decode = timeout, decode

    def transform(self, results: dict) -> dict:
        """Decode the frames ``frame_inds`` points to; a VideoInputError if one does not decode."""
        reader, results['video_reader'] = results['video_reader'], None
        width, height = self.scale
        results['img_shape'] = results['decoded_shape'] = (height, width)
        if not self.decode:
            return results
        wanted, positions = np.unique(results['frame_inds'], return_inverse=True)
        frames = np.empty((len(wanted), height, width, 3), np.uint8)
        decoded = results.get('decoded', {})
        decoded.pop(int(wanted[-1]), None)  # the size of one frame has to be seen

        def decode() -> tuple[int, int]:
            for resized, index in zip(frames, wanted.tolist(), strict=True):
                if index in decoded:
                    resized[:] = decoded[index]
                else:
                    frame = read_frame(reader, index)
                    mmcv.imresize(frame, self.scale, interpolation=self.interpolation, out=resized)
            return frame.shape[:2]

        with name_video_on_error(results['filename']):
            results['original_shape'] = run_with_timeout(decode, self.timeout)
        decoded.clear()
        decoded.update(zip(wanted.tolist(), frames, strict=True))
        # Indexing copies: transforms such as Flip work in place, so no entries may share memory.
        results['imgs'] = list(frames[positions.ravel()])
        results['keep_ratio'] = False
        factors = np.divide(self.scale, results['original_shape'][::-1])
        results['scale_factor'] = factors.astype(np.float32)
        return results


def read_frame(reader: decord.VideoReader, index: int) -> np.ndarray:
    """Decode a frame, H x W x 3 uint8, RGB."""
    # decord 0.6.0 pads rows. Where their length is a multiple of the width, as for 48 pixels and
    # for 1, it takes the padding for more channels.
    frame = reader[index].asnumpy()
    height, width, _ = frame.shape
    return frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


def all_frames(filename: str, scale: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Decode all frames of a video, H x W x 3 uint8, RGB, resized to ``scale`` (W, H)."""
    reader = DecordClipInit().transform(dict(filename=filename))['video_reader']
    for index in range(len(reader)):
        with name_video_on_error(filename):
            frame = run_with_timeout(partial(read_frame, reader, index), TIMEOUT)
        yield frame if scale is None else mmcv.imresize(frame, scale)

"""Open videos and read the frames of their clips, each once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import FileClient

from .._errors import InputError, VideoInputError, check_whole, first_line
from .._registries import TRANSFORMS
from .checks import check_scale, shorter_side
from .decord_reader import DecordReader
from .video_index import CountedFrames
from .video_reader import TIMEOUT, VideoReader, name_video_on_error

Result = TypeVar('Result')

LOCAL = ('disk', 'local')  # MMEngine's names of the backend of files
GIVEN_FRAMES = ('imgs', 'array', 'frame_dir')


def run_with_timeout(function: Callable[[], Result], seconds: float) -> Result:
    """Call a function in a thread; a TimeoutError leaves it running, as nothing stops C code."""
    future: Future[Result] = Future()
    Thread(target=_run, args=(future, function), daemon=True).start()
    try:
        return future.result(seconds)
    finally:
        del future  # an exception raised here would refer to it, and it to the exception


def _run(future: Future[Any], function: Callable[[], object]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
    finally:
        del future


@TRANSFORMS.register_module()
class OpenVideo(BaseTransform):
    """Open a video, with an error of one line if that fails.

    Frames that are there already, as programs of MMAction2 give them (``imgs``, an ``array`` of
    frames or ``frame_dir``, a folder of pictures), are left as they are.

    See ``VideoReader`` for which frames there are. A name without extension that is no file gets
    ``.mp4``. Optional key: ``counted``, a :class:`~r21d_plugin.datasets.video_index.CountedFrames`.

    Args:
        io_backend (str): A backend of MMEngine that has the videos. Defaults to ``'disk'``. Videos
            of others are read into memory.
        num_threads (int): Threads that decode a frame. Defaults to 1.
        timeout (float): Seconds to wait for a video to open. Defaults to 60.
        strict (bool): Whether any damage that is noticed is an error, or only damage that may have
            spoiled a frame that is read. Defaults to True.
        backend (str): ``'pyav'``, or ``'decord'`` for frames as MMAction2's ``DecordDecode``
            numbers them, some of them wrong (docs/videos.md). Defaults to ``'pyav'``.
        **kwargs: Arguments of the storage's backend.
    """

    def __init__(
        self,
        io_backend: str = 'disk',
        num_threads: int = 1,
        timeout: float = TIMEOUT,
        strict: bool = True,
        backend: str = 'pyav',
        **kwargs: Any,
    ) -> None:
        check_whole('num_threads', num_threads)
        if backend not in ('pyav', 'decord'):
            raise InputError(f"backend={backend!r}: use 'pyav' or 'decord'")
        if backend == 'decord' and io_backend not in LOCAL:
            problem = 'decord crashes on damaged videos in memory'
            raise InputError(f"backend='decord' with io_backend={io_backend!r}: {problem}")
        self.io_backend, self.kwargs = io_backend, kwargs
        self.num_threads, self.timeout, self.strict = num_threads, timeout, strict
        self.backend = backend
        self.file_client: FileClient | None = None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Open ``filename``; add ``video_reader``, ``total_frames`` and ``avg_fps``."""
        if any(key in results for key in GIVEN_FRAMES):
            if 'array' in results:
                results.setdefault('total_frames', len(results['array']))
            return results
        with name_video_on_error(results['filename']):
            open_video = partial(self._open, results['filename'], results.get('counted'))
            reader, frames = run_with_timeout(open_video, self.timeout)
        return dict(results, video_reader=reader, total_frames=frames, avg_fps=reader.fps)

    def _open(
        self, filename: str, counted: CountedFrames | None
    ) -> tuple[VideoReader | DecordReader, int]:
        """A video and the number of its frames."""
        on_disk = self.io_backend in LOCAL
        if not Path(filename).suffix and not (on_disk and os.path.exists(filename)):
            filename += '.mp4'
        reader: VideoReader | DecordReader
        if self.backend == 'decord':
            reader = DecordReader(Path(filename), self.num_threads)
        else:
            video = Path(filename) if on_disk else self._content(filename)
            limits = (self.strict, self.timeout, self.num_threads)
            reader = VideoReader(video, filename, *limits, counted)
        return reader, len(reader)

    def _content(self, filename: str) -> bytes:
        if self.file_client is None:
            self.file_client = FileClient(self.io_backend, **self.kwargs)
        try:
            content = self.file_client.get(filename)
        except (FileNotFoundError, PermissionError):
            raise
        except (OSError, HTTPException) as error:
            if getattr(error, 'code', None) == HTTPStatus.NOT_FOUND:
                raise FileNotFoundError(filename) from error
            problem = f'cannot be fetched by the backend {self.io_backend}: {first_line(error)}'
            raise VideoInputError(f'{filename}: {problem}') from error
        if content is None:  # how LMDB says that it has no such entry
            raise FileNotFoundError(filename)
        return bytes(content)


@TRANSFORMS.register_module()
class ReadFrames(BaseTransform):
    """Read and resize each needed frame once, and hold none but one at full size.

    The frames are those of MMAction2's ``DecordDecode`` and ``Resize``. They are of
    ``video_reader``, or of what there is of ``imgs`` (resized all), ``array`` (T x H x W x 3 uint8,
    RGB) and ``frame_dir`` (pictures named by ``filename_tmpl``).

    Required keys: one of these and, but for ``imgs``, ``frame_inds``. Optional key: ``decoded``,
    the frames of the previous call by number, which this call reads and replaces; the video then
    stays open for more calls. Added keys:
    ``imgs`` (a list of H x W x 3 arrays, RGB, none shared between entries),
    ``original_shape``, ``img_shape`` and ``decoded_shape`` (H, W), ``scale_factor``,
    ``keep_ratio``.

    Args:
        scale (tuple[int, int], optional): Width and height of the resized frames, or -1 and the
            length of the shorter side, which keeps the aspect ratio, in any order. None leaves
            frames as they are. Defaults to (171, 128).
        interpolation (str): As in ``mmcv.imresize``. Defaults to ``'bilinear'``.
        timeout (float): Seconds to wait for the frames. Defaults to 60.
        decode (bool): Whether to decode, or only to add the shapes, which are all that a crop needs
            where flow is read from disk. Defaults to True.
        rounded (bool): Whether frames are uint8, or float32 that the resize does not round.
            Defaults to True.
    """

    def __init__(
        self,
        scale: tuple[int, int] | None = (171, 128),
        interpolation: str = 'bilinear',
        timeout: float = TIMEOUT,
        decode: bool = True,
        rounded: bool = True,
    ) -> None:
        if scale is not None:
            check_scale(scale)
        if not decode and (scale is None or shorter_side(scale)):
            raise InputError(f'decode=False with scale={scale}: needs width and height in pixels')
        self.scale = None if scale is None else (scale[0], scale[1])
        self.interpolation, self.timeout, self.decode = interpolation, timeout, decode
        self.dtype = np.uint8 if rounded else np.float32

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the frames ``frame_inds`` points to; a VideoInputError if one does not decode."""
        if self.scale and not self.decode:
            width, height = self.scale
            results['img_shape'] = results['decoded_shape'] = (height, width)
            close_video(results)
            return dict(results, video_reader=None)
        numbers = np.arange(len(results['imgs'])) if 'imgs' in results else results['frame_inds']
        wanted, positions = np.unique(numbers, return_inverse=True)
        with name_video_on_error(results.get('filename') or results.get('frame_dir') or 'frames'):
            read = partial(self._read, results, wanted.tolist())
            frames, original_shape = run_with_timeout(read, self.timeout)
        if 'decoded' in results:
            results['decoded'].clear()
            results['decoded'].update(zip(wanted.tolist(), frames))
        # Indexing copies: transforms such as Flip work in place, so no entries may share memory.
        imgs = list(frames[positions.ravel()])
        shape = frames.shape[1:3]
        return dict(
            results,
            imgs=imgs,
            video_reader=None,
            original_shape=original_shape,
            img_shape=shape,
            decoded_shape=shape,
            keep_ratio=self.scale is None or shorter_side(self.scale) is not None,
            scale_factor=np.divide(shape[::-1], original_shape[::-1]).astype(np.float32),
        )

    def _read(
        self, results: dict[str, Any], wanted: list[int]
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Resized frames of these numbers, and height and width before that.

        The video is closed in the thread that reads it, unless more calls will follow.
        """
        before = results.get('decoded', {})
        before.pop(wanted[-1], None)  # the size of one frame has to be seen
        missing = [number for number in wanted if number not in before]
        try:
            read = frames_of(results, missing)
            first = next(read)
            width, height = size = self.size_of(first)
            frames = np.empty((len(wanted), height, width, 3), self.dtype)
            read = (frame.astype(self.dtype, copy=False) for frame in chain([first], read))
            for resized, number in zip(frames, wanted):
                if number in before:
                    resized[:] = before[number]
                else:
                    mmcv.imresize(next(read), size, interpolation=self.interpolation, out=resized)
        finally:
            if 'decoded' not in results:
                close_video(results)
        return frames, (first.shape[0], first.shape[1])

    def resize(self, frame: np.ndarray) -> np.ndarray:
        """Resize a frame, H x W x 3 uint8, as this transform does, into memory of its own."""
        return mmcv.imresize(frame, self.size_of(frame), interpolation=self.interpolation)

    def size_of(self, frame: np.ndarray) -> tuple[int, int]:
        """Width and height that a frame, H x W x 3, is resized to."""
        height, width, _ = frame.shape
        if self.scale is None:
            return width, height
        short = shorter_side(self.scale)
        return mmcv.rescale_size((width, height), (np.inf, short)) if short else self.scale


# Names in configs of earlier releases. MMAction2's inferencers replace whatever has Init or Decode
# in its name by transforms that do not resize.
DecordClipInit, DecordClipDecode = OpenVideo, ReadFrames
TRANSFORMS.register_module('DecordClipInit', module=OpenVideo)
TRANSFORMS.register_module('DecordClipDecode', module=ReadFrames)


def close_video(results: dict[str, Any]) -> None:
    """Close the video that :class:`OpenVideo` opened, rather than when garbage is collected."""
    if isinstance(reader := results.get('video_reader'), VideoReader):
        reader.close()


def frames_of(results: dict[str, Any], numbers: list[int]) -> Iterator[np.ndarray]:
    """Yield frames by their numbers, in ascending order, H x W x 3 uint8, RGB."""
    if 'imgs' in results:
        read = results['imgs'].__getitem__
    elif 'array' in results:
        read = results['array'].__getitem__
    elif 'frame_dir' in results:
        template = str(Path(results['frame_dir'], results['filename_tmpl']))
        read = partial(read_picture, template, results.get('offset', 0))
    else:
        yield from results['video_reader'].frames(numbers)
        return
    for number in numbers:
        frame = read(number)
        if frame.ndim != 3 or frame.shape[2] != 3:
            raise InputError(f'frames of shape {frame.shape}: give RGB, H x W x 3 uint8')
        yield frame


def read_picture(template: str, offset: int, number: int) -> np.ndarray:
    """Read a frame that is a picture, H x W x 3 uint8, RGB; a VideoInputError if it cannot be."""
    path = Path(template.format(number + offset))
    try:
        return mmcv.imread(path, channel_order='rgb')
    except (OSError, cv2.error) as error:
        raise VideoInputError(f'{path}: no picture, which frame {number} has to be') from error


def all_frames(filename: str, scale: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Decode all frames of a video, H x W x 3 uint8, RGB, resized to ``scale`` (W, H)."""
    with VideoReader(filename) as reader:
        yield from reader.frames(size=scale)

"""Pipeline transforms that open videos and read the frames of clips."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
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
from mmengine.fileio import get

from .._errors import InputError, VideoInputError, check_whole, first_line
from .._registries import TRANSFORMS
from .checks import check_scale, shorter_side
from .decord_reader import DecordReader
from .video_index import CountedFrames
from .video_reader import TIMEOUT, VideoReader, name_video_on_error

Result = TypeVar('Result')

LOCAL = ('disk', 'local')  # MMEngine's names of its backend for local files
GIVEN_FRAMES = ('imgs', 'array', 'frame_dir')


def run_with_timeout(function: Callable[[], Result], seconds: float) -> Result:
    """Call a function in a thread; after a TimeoutError the thread keeps running."""
    future: Future[Result] = Future()
    Thread(target=_run, args=(future, function), daemon=True).start()
    try:
        return future.result(seconds)
    except FutureTimeoutError as error:  # not Python's own before 3.11
        raise TimeoutError from error
    finally:
        del future  # breaks a reference cycle between the future and the exception


def _run(future: Future[Any], function: Callable[[], object]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
    finally:
        del future


@TRANSFORMS.register_module()
class OpenVideo(BaseTransform):
    """Open a video; raise a one-line error if that fails.

    Samples that already have frames, as MMAction2's programs provide them (``imgs``, an ``array``
    of frames, or ``frame_dir``, a folder of pictures), are left unchanged.

    ``VideoReader`` defines how frames are numbered. ``.mp4`` is appended to a name without
    extension if there is no such file. Optional key: ``counted``, a
    :class:`~r21d_plugin.datasets.video_index.CountedFrames`.

    Args:
        io_backend (str): MMEngine's storage backend for the videos. Videos from other backends than
            the default are read into memory. Defaults to ``'disk'``.
        num_threads (int): Threads that decode a frame. Defaults to 1.
        timeout (float): Seconds to wait for a video to open. Defaults to 60.
        strict (bool): Whether any detected damage is an error, or only damage that may affect a
            frame that is read. Defaults to True.
        backend (str): ``'pyav'``, or ``'decord'`` to number frames as MMAction2's ``DecordDecode``
            does, which is wrong for some videos (docs/videos.md). Defaults to ``'pyav'``.
        **kwargs: Arguments of the storage backend.
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
        if kwargs and io_backend in LOCAL:
            raise InputError(f'OpenVideo has no argument {min(kwargs)}: correct or drop it')
        self.io_backend, self.kwargs = io_backend, kwargs
        self.num_threads, self.timeout, self.strict = num_threads, timeout, strict
        self.backend = backend

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
        """Open a video and return its reader and number of frames."""
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
        try:
            content = get(filename, dict(backend=self.io_backend, **self.kwargs))
        except (FileNotFoundError, PermissionError):
            raise
        except (OSError, HTTPException) as error:
            if getattr(error, 'code', None) == HTTPStatus.NOT_FOUND:
                raise FileNotFoundError(filename) from error
            problem = f'cannot be fetched by the backend {self.io_backend}: {first_line(error)}'
            raise VideoInputError(f'{filename}: {problem}') from error
        if content is None:  # LMDB returns None for a missing entry
            raise FileNotFoundError(filename)
        return bytes(content)


@TRANSFORMS.register_module()
class ReadFrames(BaseTransform):
    """Read and resize each needed frame once; keep at most one frame at full size in memory.

    This transform replaces MMAction2's ``DecordDecode`` and ``Resize``. Frames come from
    ``video_reader``, ``imgs`` (all are resized), ``array`` (T x H x W x 3 uint8, RGB) or
    ``frame_dir`` (pictures named by ``filename_tmpl``).

    Required keys: one of these and, except for ``imgs``, ``frame_inds``. Optional key: ``decoded``,
    the frames of the previous call by number, which this call reuses and replaces; the video then
    stays open for more calls. Added keys:
    ``imgs`` (a list of H x W x 3 arrays, RGB, which share no memory),
    ``original_shape``, ``img_shape`` and ``decoded_shape`` (H, W), ``scale_factor``,
    ``keep_ratio``.

    Args:
        scale (tuple[int, int], optional): Width and height of the resized frames, or -1 and the
            length of the shorter side (in any order), which keeps the aspect ratio. None: frames
            are not resized. Defaults to (171, 128).
        interpolation (str): As in ``mmcv.imresize``. Defaults to ``'bilinear'``.
        timeout (float): Seconds to wait for the frames. Defaults to 60.
        decode (bool): Whether to decode frames. With False, only the shapes are added, which crops
            need if flow is read from disk. Defaults to True.
        rounded (bool): Whether resized frames are rounded to uint8; otherwise they are float32.
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
        """Read the frames of ``frame_inds``; raise a VideoInputError if one does not decode."""
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
        # Indexing copies frames: transforms such as Flip modify them in place.
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
        """Return resized frames by number, and the height and width before resizing.

        The video is closed in the thread that reads it, unless more calls will follow.
        """
        before = results.get('decoded', {})
        before.pop(wanted[-1], None)  # decode at least one frame, to get its original size
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
        """Resize a frame, H x W x 3 uint8, as this transform does; return a copy."""
        return mmcv.imresize(frame, self.size_of(frame), interpolation=self.interpolation)

    def size_of(self, frame: np.ndarray) -> tuple[int, int]:
        """Return the width and height after resizing a frame, H x W x 3."""
        height, width, _ = frame.shape
        if self.scale is None:
            return width, height
        short = shorter_side(self.scale)
        return mmcv.rescale_size((width, height), (np.inf, short)) if short else self.scale


# Class names in configs of earlier releases. They were renamed because MMAction2's inferencers
# replace transforms with Init or Decode in their names by transforms that do not resize.
DecordClipInit, DecordClipDecode = OpenVideo, ReadFrames
TRANSFORMS.register_module('DecordClipInit', module=OpenVideo)
TRANSFORMS.register_module('DecordClipDecode', module=ReadFrames)


def close_video(results: dict[str, Any]) -> None:
    """Close the video that :class:`OpenVideo` opened, without waiting for garbage collection."""
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
    """Read a frame from a picture file, H x W x 3 uint8, RGB, or raise a VideoInputError."""
    path = Path(template.format(number + offset))
    try:
        return mmcv.imread(path, channel_order='rgb')
    except (OSError, cv2.error) as error:
        raise VideoInputError(f'{path}: no readable picture for frame {number}') from error


def all_frames(filename: str, scale: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Decode all frames of a video, H x W x 3 uint8, RGB, resized to ``scale`` (W, H)."""
    with VideoReader(filename) as reader:
        yield from reader.frames(size=scale)

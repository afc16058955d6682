"""Decoding the frames of a video's clips, each once."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

import decord
import mmcv
import numpy as np
from mmaction.datasets.transforms import DecordInit
from mmcv.transforms import BaseTransform
from mmengine.fileio import FileClient

from ..errors import InputError
from ..registry import TRANSFORMS

DECODE_ERRORS = (OSError, RuntimeError, decord.DECORDError)

VIDEO_SUFFIXES = ('.avi', '.flv', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv')
"""Extensions by which the files in a folder are taken for videos."""

open_video = partial(decord.VideoReader, fault_tol=1)
"""decord's reader, which else puts the frame before in place of any that does not decode.

It accepts a single one: decord has no stricter setting.
"""


@contextmanager
def naming_the_video(filename: str) -> Iterator[None]:
    """Turn what goes wrong while reading a video into one line that names it.

    Raises:
        InputError: If the file is missing or does not decode.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(
            f'{filename}: no such video: correct the annotation file or data_prefix'
        ) from error
    except decord.DECORDLimitReachedError as error:
        raise InputError(
            f'{filename}: has damaged frames or jumping timestamps: re-encode it or drop it from '
            'the annotation file'
        ) from error
    except DECODE_ERRORS as error:
        raise InputError(
            f'{filename}: does not decode: replace the file or drop it from the annotation file'
        ) from error


@TRANSFORMS.register_module()
class DecordClipInit(DecordInit):
    """MMAction2's DecordInit, naming the video that cannot be opened.

    decord 0.6.0 crashes the interpreter when it opens a truncated video from
    memory, as DecordInit does, and reports an error when it opens it from a
    file. So videos on disk are opened where they are, and those of another
    backend from a temporary file.

    Args:
        io_backend (str): Where videos are stored, any of MMEngine's backends.
            Defaults to ``'disk'``.
        num_threads (int): Decoding threads. Defaults to 1.
        **kwargs: Arguments of the backend.
    """

    def _get_video_reader(self, filename: str) -> decord.VideoReader:
        suffix = Path(filename).suffix
        if not suffix:
            suffix = '.mp4'
            filename += suffix
        if self.io_backend in ('disk', 'local'):
            if not Path(filename).exists():
                raise FileNotFoundError(filename)
            return open_video(filename, num_threads=self.num_threads)
        if self.file_client is None:
            self.file_client: FileClient = FileClient(self.io_backend, **self.kwargs)
        content = self.file_client.get(filename)
        if content is None:  # how LMDB says that it has no such entry
            raise FileNotFoundError(filename)
        with NamedTemporaryFile(suffix=suffix) as file:
            file.write(content)
            file.flush()
            return open_video(file.name, num_threads=self.num_threads)

    def transform(self, results: dict) -> dict:
        """Open ``filename``; add ``video_reader``, ``total_frames``, ``avg_fps``.

        Raises:
            InputError: If the video is missing, does not open or is empty.
        """
        with naming_the_video(results['filename']):
            results = super().transform(results)
            if results['total_frames'] == 0:
                raise RuntimeError('the video has no frames')
        return results


@TRANSFORMS.register_module()
class DecordClipDecode(BaseTransform):
    """Decode and resize each needed frame once, streaming forward.

    Gives the frames that MMAction2's ``DecordDecode`` and ``Resize(scale,
    keep_ratio=False)`` give, bit for bit. Those decode a frame again for every
    clip that contains it and hold all clips at full size; this one holds one
    full-size frame at a time, so overlapping clips of short or large videos
    cost no more than the frames they cover.

    Required keys: ``video_reader``, ``frame_inds``, ``filename``. Optional key:
    ``decoded``, a dict of the frames of the call before, by their number, in
    which those of this call take their place: what calls for a part of a video
    each have in common is decoded once too. Added keys: ``imgs`` (a list of H x
    W x 3 uint8 arrays, RGB, none shared between entries), ``original_shape``,
    ``img_shape`` (H, W), ``scale_factor``, ``keep_ratio``.

    Args:
        scale (tuple[int, int]): Width and height of the resized frames, aspect
            ratio not kept. Defaults to (171, 128), as in Section 4.1.
        interpolation (str): As in ``mmcv.imresize``. Defaults to
            ``'bilinear'``.
    """

    def __init__(
        self, scale: tuple[int, int] = (171, 128), interpolation: str = 'bilinear'
    ) -> None:
        self.scale = tuple(scale)
        self.interpolation = interpolation

    def transform(self, results: dict) -> dict:
        """Decode the frames ``frame_inds`` points to.

        Raises:
            InputError: If a frame does not decode.
        """
        reader, results['video_reader'] = results['video_reader'], None
        wanted, positions = np.unique(results['frame_inds'], return_inverse=True)
        width, height = self.scale
        frames = np.empty((len(wanted), height, width, 3), np.uint8)
        decoded = results.get('decoded', {})
        decoded.pop(int(wanted[-1]), None)  # the size of one frame has to be seen
        with naming_the_video(results['filename']):
            for resized, index in zip(frames, wanted, strict=True):
                if index in decoded:
                    resized[:] = decoded[index]
                    continue
                frame = reader[int(index)].asnumpy()
                mmcv.imresize(frame, self.scale, interpolation=self.interpolation, out=resized)
        decoded.clear()
        decoded.update(zip(wanted.tolist(), frames, strict=True))
        # Indexing copies: transforms such as Flip work in place, so no two
        # entries may share their memory.
        results['imgs'] = list(frames[positions.ravel()])
        results['original_shape'] = frame.shape[:2]
        results['img_shape'] = (height, width)
        results['keep_ratio'] = False
        results['scale_factor'] = np.array(
            [width / frame.shape[1], height / frame.shape[0]], dtype=np.float32
        )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, interpolation={self.interpolation})'


def all_frames(filename: str, scale: tuple[int, int] | None = None) -> Iterator[np.ndarray]:
    """Decode a video from its first frame to its last.

    Args:
        filename (str): The video, a file.
        scale (tuple[int, int], optional): Width and height to resize frames
            to, as :class:`DecordClipDecode` does. Defaults to None: as they are.

    Yields:
        ndarray: H x W x 3 uint8, RGB.

    Raises:
        InputError: If the video is missing or does not decode.
    """
    reader = DecordClipInit().transform(dict(filename=filename))['video_reader']
    for index in range(len(reader)):
        with naming_the_video(filename):
            frame = reader[index].asnumpy()
        yield frame if scale is None else mmcv.imresize(frame, scale)

"""Read videos by decord, for results that have to equal those computed with it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .._errors import NOT_UTF8, MissingPackageError, VideoInputError
from .picture_run import DamageError


class DecordReader:
    """The frames of a video as decord 0.6 numbers them, with the interface of VideoReader.

    Frames that decord repeats in place of those that do not decode are errors.

    Args:
        path: A file. decord crashes on damaged videos in memory.
        threads: Threads that decode. Defaults to 1.

    Raises:
        MissingPackageError: If decord is not installed.
        OSError: If the video does not open.
        VideoInputError: If its name is not UTF-8.
    """

    timestamps = None  # decord has those of packets, not of frames

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            import decord
        except ImportError as error:
            remedy = "pip install decord, or drop backend='decord' where it has no wheels"
            raise MissingPackageError(f'{error}: {remedy}') from error
        self._errors = decord.DECORDError, decord.DECORDLimitReachedError, StopIteration
        os.stat(path)  # decord does not say that a file is missing
        if NOT_UTF8.search(str(path)):
            problem = "decord opens no name that is not UTF-8: rename it or drop backend='decord'"
            raise VideoInputError(f'{path}: {problem}')
        try:
            self._reader = decord.VideoReader(str(path), num_threads=threads, fault_tol=1e-6)
        except (*self._errors, RuntimeError) as error:
            raise OSError(str(error)) from error

    def __len__(self) -> int:
        return len(self._reader)

    @property
    def fps(self) -> float:
        """Average number of frames a second."""
        return float(self._reader.get_avg_fps())

    def frames(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Decode frames by number: H x W x 3, uint8, RGB; a DamageError if one does not decode."""
        for number in indices:
            try:
                frame = self._reader[number].asnumpy()
            except self._errors as error:
                raise DamageError from error
            # decord pads rows. Where their length is a multiple of the width, as for 48 pixels and
            # for 1, it takes the padding for more channels.
            height, width, _ = frame.shape
            yield frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)

"""Read videos with decord, to reproduce results that were computed with it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .._errors import NOT_UTF8, MissingPackageError, VideoInputError
from .picture_run import DamageError


class DecordReader:
    """Reader with decord 0.6's frame numbers and the interface of VideoReader.

    Raises an error where decord silently repeats a frame because one does not decode; also an
    OSError if the video does not open. Decord crashes on damaged videos in memory, so only files
    are read.
    """

    timestamps = None  # decord provides timestamps of packets, not of frames

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            import decord
        except ImportError as error:
            remedy = "pip install decord, or drop backend='decord' where it has no wheels"
            raise MissingPackageError(f'{error}: {remedy}') from error
        self._errors = decord.DECORDError, decord.DECORDLimitReachedError, StopIteration
        os.stat(path)  # decord does not say that a file is missing
        if NOT_UTF8.search(str(path)):
            problem = "decord needs names in UTF-8: rename the file or drop backend='decord'"
            raise VideoInputError(f'{path}: {problem}')
        try:
            self._reader = decord.VideoReader(str(path), num_threads=threads, fault_tol=1e-6)
        except (*self._errors, RuntimeError) as error:
            raise OSError(str(error)) from error

    def __len__(self) -> int:
        return len(self._reader)

    @property
    def fps(self) -> float:
        """Average frames per second."""
        return float(self._reader.get_avg_fps())

    def frames(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Decode frames by number: H x W x 3, uint8, RGB; raise a DamageError on failure."""
        for number in indices:
            try:
                frame = self._reader[number].asnumpy()
            except self._errors as error:
                raise DamageError from error
            # decord pads rows. If the padded length is a multiple of the width, as for widths of 48
            # and 1 pixels, decord treats the padding as more channels.
            height, width, _ = frame.shape
            yield frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)

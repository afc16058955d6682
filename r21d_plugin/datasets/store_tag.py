"""The tag in the comment of files in a training store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

KEY_INTERVAL = 16  # frames from one key frame to the next

PATTERN = re.compile(
    r'r21d_plugin store: (\d+) frames, (\d+)x(\d+), of a file of (\d+) bytes \((.+)\)'
)


class StoreTag(NamedTuple):
    """The tag of a stored video: size and source of its frames.

    H.264 pictures have even sides, so frames with odd sides are padded at the right and bottom.
    """

    frames: int
    width: int  # of the frames, in pixels
    height: int  # of the frames, in pixels
    source_bytes: int  # size of the source file
    settings: str  # encoding settings, as text

    def __str__(self) -> str:
        frames = f'{self.frames} frames, {self.width}x{self.height}'
        source = f'of a file of {self.source_bytes} bytes'
        return f'r21d_plugin store: {frames}, {source} ({self.settings})'

    @classmethod
    def find(cls, metadata: Mapping[str, str]) -> StoreTag | None:
        """Read the tag in the metadata of a container; None if there is none."""
        comment = metadata.get('comment') or metadata.get('COMMENT')  # Matroska's
        match = PATTERN.fullmatch(comment or '')
        if match is None:
            return None
        return cls(int(match[1]), int(match[2]), int(match[3]), int(match[4]), match[5])

    def crop(self, image: np.ndarray) -> np.ndarray:
        """Remove the padding of an H x W x C image; leave images of other sizes unchanged.

        Other sizes occur because programs that scale a video copy its comment.
        """
        padded = image.shape[:2] == (even(self.height), even(self.width))
        return image[: self.height, : self.width] if padded else image


def even(side: int) -> int:
    """Return the even length to which a side of a frame is padded."""
    return side + side % 2

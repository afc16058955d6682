"""What the files of a training store say of themselves, in their comment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

KEY_INTERVAL = 16  # frames from key frame to key frame

PATTERN = re.compile(
    r'r21d_plugin store: (\d+) frames, (\d+)x(\d+), of a file of (\d+) bytes \((.+)\)'
)


class StoreTag(NamedTuple):
    """What the comment of a stored video says.

    H.264 pictures have even sides, so frames of odd ones are padded at the right and the bottom.
    """

    frames: int
    width: int  # of the frames, in pixels
    height: int  # likewise
    source_bytes: int  # size of the file that was encoded
    settings: str  # how it was encoded, as text

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
        """Remove the padding of an H x W x C image; one of another size is left as it is.

        Programs that scale a video copy its comment.
        """
        padded = image.shape[:2] == (even(self.height), even(self.width))
        return image[: self.height, : self.width] if padded else image


def even(side: int) -> int:
    """The side of a picture that a side of a frame is padded to."""
    return side + side % 2

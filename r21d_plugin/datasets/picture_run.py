"""Decode a video forwards, find pictures by number, and detect which may be damaged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from av.video.frame import PictureType, VideoFrame

from .video_index import Entry, VideoIndex
from .video_stream import PictureStream

DELAY = 16  # largest number of pictures that a decoder delays to reorder them


class DamageError(ValueError):
    """A requested picture is damaged or missing."""


class UnexpectedPictureError(DamageError):
    """The decoded pictures differ from the index, or decoding had errors."""


class Run:
    """A forward pass of decoding, from an entry of the index or from the start of the video.

    After an error, pictures are considered damaged up to a later key picture. So are B-pictures
    shown directly before a damaged picture, because they are decoded after it.

    Args:
        stream: The video stream.
        index: Index of the video.
        entry: Where to begin; None for the start.
        strict: Whether any error ends the run.
    """

    def __init__(
        self, stream: PictureStream, index: VideoIndex, entry: Entry | None, strict: bool
    ) -> None:
        self._index, self._entry, self._strict = index, entry, strict
        self._pictures = stream.pictures(stream.packets(entry))
        self._ahead: deque[VideoFrame | None] = deque()  # pictures decoded ahead
        self.next = entry.frame if entry else 0
        self._found = self._anchor = -1  # last picture found, and the last that is no B-picture
        self._damaged_to: int | None = None  # a key picture after this number ends the damage

    def find(self, number: int) -> VideoFrame:
        """Decode up to a picture, which must come after the last picture found."""
        for picture in self._forward():
            if picture is None:
                self._meet_damage(self.next + DELAY)
                continue
            reached = self._number(picture)
            if reached is None:
                continue
            self._check(picture, reached)
            if reached == number and self._damaged_to is None:
                self._found = number
                return picture
            if reached >= number:
                break
        raise UnexpectedPictureError if self._damaged_to is None else DamageError

    def is_left_for(self, entry: Entry | None) -> bool:
        """Whether decoding from an entry skips pictures that this run would decode."""
        return entry is not None and entry.frame > self.next

    def check(self) -> None:
        """Check whether the last picture found may depend on a damaged later picture.

        Raises a DamageError if so.
        """
        if self._found <= self._anchor:
            return
        for picture in islice(self._pictures, DELAY):
            self._ahead.append(picture)
            if picture is None or picture.is_corrupt:
                raise DamageError
            if picture.pict_type != PictureType.B:
                return

    def _forward(self) -> Iterator[VideoFrame | None]:
        """Yield the next pictures: first those decoded ahead, then new ones."""
        while True:
            if not self._ahead:
                self._ahead.extend(islice(self._pictures, 1))
            if not self._ahead:
                return
            yield self._ahead.popleft()

    def _number(self, picture: VideoFrame) -> int | None:
        """Return the number of a decoded picture; None if it is not in the index."""
        if not self._index.timestamps:
            return self.next
        if self._entry is not None and (picture.pts or 0) < self._entry.pts:
            return None  # it precedes the key picture, and its reference pictures are missing
        number = self._index.number(picture.pts)
        if number != self.next and self._damaged_to is None:
            raise UnexpectedPictureError
        return number

    def _check(self, picture: VideoFrame, number: int) -> None:
        """Update the damage state with a decoded picture."""
        self.next = number + 1
        if picture.is_corrupt:
            if self._found > self._anchor:
                raise DamageError
            self._meet_damage(number)
        elif picture.key_frame and self._damaged_to is not None and number > self._damaged_to:
            self._damaged_to = None
        if picture.pict_type != PictureType.B:
            self._anchor = number

    def _meet_damage(self, end: int) -> None:
        if self._entry is not None:
            raise UnexpectedPictureError
        if self._strict:
            raise DamageError
        self._damaged_to = end

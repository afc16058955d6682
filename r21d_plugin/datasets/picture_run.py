"""Find pictures by number while a video is decoded, and tell which of them may be spoiled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from av.video.frame import PictureType, VideoFrame

from .video_index import Entry, VideoIndex
from .video_stream import PictureStream

DELAY = 16  # pictures that a decoder holds back at most to put them in order


class DamageError(ValueError):
    """A picture that was asked for is damaged or missing."""


class UnexpectedPictureError(DamageError):
    """What is decoded are not the pictures that the index lists, or not without errors."""


class Run:
    """Decode a video forwards, from an entry of its index or from the start.

    After an error, pictures count as spoiled up to a later key picture. So do the B-pictures shown
    right before a damaged picture, which are decoded after it.

    Args:
        stream: The video.
        index: Its index.
        entry: Where to begin; None for the start.
        strict: Whether any error that is met ends the run.
    """

    def __init__(
        self, stream: PictureStream, index: VideoIndex, entry: Entry | None, strict: bool
    ) -> None:
        self._index, self._entry, self._strict = index, entry, strict
        self._pictures = stream.pictures(stream.packets(entry))
        self._ahead: deque[VideoFrame | None] = deque()  # decoded, but not yet passed
        self.next = entry.frame if entry else 0
        self._found = self._anchor = -1  # the last one found, and the last one but B-pictures
        self._damaged_to: int | None = None  # a key picture after this one ends the damage

    def find(self, number: int) -> VideoFrame:
        """Decode up to a picture that comes after the last one that was found."""
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

    def check(self) -> None:
        """Check the picture that the last one that was found may depend on, if that is a later one.

        A DamageError if it does.
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
        """The pictures that were not yet passed."""
        while True:
            if not self._ahead:
                self._ahead.extend(islice(self._pictures, 1))
            if not self._ahead:
                return
            yield self._ahead.popleft()

    def _number(self, picture: VideoFrame) -> int | None:
        """Number of a decoded picture; None for one that is not in the index."""
        if not self._index.timestamps:
            return self.next
        if self._entry is not None and (picture.pts or 0) < self._entry.pts:
            return None  # it precedes the key picture, and the ones that it needs are missing
        number = self._index.number(picture.pts)
        if number != self.next and self._damaged_to is None:
            raise UnexpectedPictureError
        return number

    def _check(self, picture: VideoFrame, number: int) -> None:
        """Note a picture that was decoded."""
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

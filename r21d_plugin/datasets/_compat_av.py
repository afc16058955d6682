"""Compatibility with older PyAV; each entry names the version that makes it unnecessary.

The newest PyAV for Python 3.8 is 12.3, and for Python 3.9 it is 15.1.
"""

from __future__ import annotations

import os
from typing import IO, Any

import av
from av.codec import Codec
from av.video.stream import VideoStream

VERSION = tuple(int(part) for part in av.__version__.split('.')[:2])

# 17.0, which scales with one thread per core by default; older versions use one thread
ONE_THREAD: dict[str, Any] = dict(threads=1) if VERSION >= (17, 0) else {}

# 19.0, which reads metadata that is not UTF-8 by default
ANY_METADATA: dict[str, Any] = dict(metadata_errors='replace') if VERSION < (19, 0) else {}

FIRST_BOXES = (b'ftyp', b'styp', b'moov', b'mdat', b'free', b'skip', b'wide')


def codec_name(codec: Codec) -> str:
    """Return FFmpeg's name of the codec of a decoder (14.2)."""
    if VERSION >= (14, 2):
        return codec.canonical_name
    return 'av1' if codec.name in ('libdav1d', 'libaom-av1') else codec.name


def is_cover(stream: VideoStream) -> bool:
    """Whether a stream is known to be a cover picture or a list of thumbnails (14.1)."""
    if VERSION < (14, 1):
        return False
    from av.stream import Disposition

    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def index_entries(stream: VideoStream) -> Any:
    """Return the packets in the container's index; empty if PyAV does not provide it (17.0)."""
    return stream.index_entries if VERSION >= (17, 0) else ()


def end_of_boxes(file: IO[bytes]) -> int:
    """Compute where the boxes of an MP4 end by their sizes; 0 if ``index_entries`` exists."""
    if VERSION >= (17, 0):
        return 0
    length, at = file.seek(0, os.SEEK_END), 0
    while at < length:
        file.seek(at)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], 'big'), head[4:8]
        size = int.from_bytes(head[8:], 'big') if size == 1 else size
        if size < 8 or (at == 0 and kind not in FIRST_BOXES) or not kind.isalnum():
            break
        at += size
    return at

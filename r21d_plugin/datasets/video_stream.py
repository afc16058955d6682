"""Read packets and decode pictures of a video stream, from any possible entry point."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from itertools import chain, dropwhile
from pathlib import Path
from typing import IO, Any

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ._compat_av import ANY_METADATA, codec_name, end_of_boxes, index_entries, is_cover
from .store_tag import StoreTag
from .video_index import Coding, Entry

STILL_CODECS = ('bmp', 'gif', 'mjpeg', 'png', 'tiff', 'webp')

OPTIONS = dict(
    protocol_whitelist='file',  # a video must not open URLs that it contains
    fflags='-genpts',  # generated timestamps could not be told from those of the file
)


class NoVideoError(ValueError):
    """A file has no video stream, or only one with an unknown codec."""


class PictureStream:
    """The first video stream of a file that is not a cover picture.

    Raises PyAV's errors, an OSError, a NoVideoError, or a TimeoutError if a step takes longer than
    allowed.

    Args:
        video: Path of a regular file, or a seekable binary file object.
        timeout: Seconds that a step, such as opening or getting to the next picture, may take.
        threads: Threads that decode a picture.
    """

    def __init__(self, video: Path | IO[bytes], timeout: float, threads: int) -> None:
        self._video, self._timeout, self._threads = video, timeout, threads
        self._open()

    def _open(self) -> None:
        self.start_clock()
        if isinstance(self._video, Path):
            source: str | IO[bytes] = f'file:{self._video.absolute()}'  # allow no other protocol
            if not stat.S_ISREG(os.stat(self._video).st_mode):  # opening a pipe would block
                raise OSError('not a file')
            with open(self._video, 'rb') as file:
                self.length, self._shortened = measure(file)
        else:
            source = self._video
            self.length, self._shortened = measure(source)
        self.container = av.open(
            source,
            'r',
            timeout=(self._timeout, self._timeout),
            container_options=OPTIONS,
            **ANY_METADATA,
        )
        try:
            self.stream = choose_stream(self.container)
            self.tag = StoreTag.find(self.container.metadata)
            self._untouched = True
            self.stream.thread_type = ThreadType.SLICE  # frame threads would delay errors
            self.stream.thread_count = self._threads
            codec = self.stream.codec_context.codec
            headers = self.stream.codec_context.extradata or b''
            pixels = self.stream.format.name if self.stream.format else ''
            self.coding = Coding(codec_name(codec), codec.intra_only, headers, pixels)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; a file object passed by the caller stays open."""
        self.container.close()

    def start_clock(self) -> None:
        """Start the timeout of the next step."""
        self._deadline = time.monotonic() + self._timeout

    def packets(self, entry: Entry | None = None) -> Iterator[av.Packet[Any]]:
        """Yield packets from an entry or from the start; the decoder is reset."""
        if entry is not None:
            found = self._seek(entry)
            if found is not None:
                return found
        if not self._untouched:
            self.close()
            self._open()
        packets = self._demux()
        if entry is None:
            return packets
        return dropwhile(lambda packet: packet.pts != entry.pts, packets)

    def _seek(self, entry: Entry) -> Iterator[av.Packet[Any]] | None:
        """Seek by the container's index and return the packets from an entry; None if it fails."""
        for timestamp in {entry.pts if entry.dts is None else entry.dts, entry.pts}:
            try:
                self._untouched = False
                self.container.seek(timestamp, stream=self.stream)
            except (av.FFmpegError, OSError):
                continue
            packets = self._demux()
            first = next(packets, None)
            if first is not None and first.pts == entry.pts:
                return chain([first], packets)
        return None

    def _demux(self) -> Iterator[av.Packet[Any]]:
        """Yield the packets of the stream; the last packet is empty and flushes the decoder."""
        self.passed = 0
        self._untouched = False
        try:
            for packet in self.container.demux(self.stream):
                if time.monotonic() > self._deadline:
                    raise TimeoutError
                self.passed += packet.size > 0
                yield packet
        except av.ExitError as error:  # PyAV's own timeout for reads
            raise TimeoutError from error

    def is_cut_off(self) -> bool:
        """Whether the container shows that the file is truncated; call this at its end.

        A file is truncated if it is shorter than its header states, or has fewer packets than the
        index of an MP4 lists.
        """
        listed = 'mov' in self.container.format.name and len(index_entries(self.stream))
        return self._shortened or listed > self.passed

    def pictures(self, packets: Iterator[av.Packet[Any]]) -> Iterator[VideoFrame | None]:
        """Decode packets to pictures in presentation order; yield None for decoding errors."""
        try:
            for packet in packets:
                yield from decode(self.stream, packet)
        except OSError:
            raise
        except av.FFmpegError:  # a damaged container; the decoder may still hold pictures
            yield None
            yield from decode(self.stream, None)


def decode(stream: VideoStream, packet: av.Packet[Any] | None) -> Iterator[VideoFrame | None]:
    """Decode a packet, or flush the decoder, and yield pictures; yield None on failure."""
    try:
        yield from stream.decode(packet)
    except av.EOFError:
        return
    except av.FFmpegError:
        yield None


def frame_rate(stream: VideoStream) -> float:
    """Return the average frames per second that a stream states, 0 if unknown."""
    return float(stream.average_rate or stream.guessed_rate or 0)


def choose_stream(container: InputContainer) -> VideoStream:
    """Return the first video stream; cover and still pictures only if there is no other."""
    streams = [s for s in container.streams.video if s.codec_context is not None]
    if not streams:
        raise NoVideoError
    return min(
        streams, key=lambda s: (is_cover(s), codec_name(s.codec_context.codec) in STILL_CODECS)
    )


def measure(file: IO[bytes]) -> tuple[int, bool]:
    """Return a file's length and whether it is shorter than its headers state; rewind it."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    declared = declared_length(file.read(256) + bytes(256)) or end_of_boxes(file)
    file.seek(0)
    return length, length < declared - 16  # some writers count the header as well


def declared_length(head: bytes) -> int:
    """Return the length in bytes that an AVI or Matroska header states; 0 for other files."""
    if head[:4] == b'RIFF':
        return int.from_bytes(head[4:8], 'little') % 0xFFFFFFFF
    at = 0
    for element in (b'\x1aE\xdf\xa3', b'\x18S\x80g'):  # the header and the segment
        if head[at : at + 4] != element:
            return 0
        width = 9 - head[at + 4].bit_length()
        unknown = 2 ** (7 * width) - 1
        length = int.from_bytes(head[at + 4 : at + 4 + width], 'big') & unknown
        at += 4 + width + length
    return at if length != unknown else 0

"""Index of a video stream: frame numbers from packets, and entry points for decoding."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

import av
from av.video.stream import VideoStream

from .._compat import pairwise
from ._compat_av import index_entries
from .store_tag import KEY_INTERVAL, StoreTag

PLAIN_CONTAINERS = ('mov', 'matroska', 'flv')
PLAIN_CODECS = ('h264', 'hevc', 'vp8', 'vp9', 'av1')

START_CODE = b'\0\0\1'
SEQUENCE_HEADER = b'\0\0\1\xb3'
OBJECT_LAYER_HEADER = b'\0\0\1\x20'
H264_IDR = 5
HEVC_KEYS = range(16, 22)  # types of NAL units
HEVC_BROKEN_LINKS = range(16, 19)


class PacketInfo(NamedTuple):
    """Facts about a packet for the index; timestamps are in the stream's time base."""

    pts: int | None
    dts: int | None
    begins: bool  # whether decoding may begin with this packet
    counted: bool  # whether its picture is shown, according to the packet
    doubtful: bool  # whether the packet may show no picture or several


class CountedFrames(NamedTuple):
    """The number of frames of a file, which an earlier run counted by decoding."""

    frames: int
    by_times: bool  # whether packets have the timestamps of frames, which seeking requires
    bytes: int  # size of the file
    mtime: int  # modification time of the file, in ns


class Entry(NamedTuple):
    """A packet at which decoding may begin: pictures from number ``frame`` on are exact."""

    frame: int
    pts: int
    dts: int | None


@dataclass(frozen=True)
class VideoIndex:
    """The pictures of a video, in presentation order."""

    count: int
    # Timestamps of the pictures in the stream's time base; empty if they do not increase, because
    # then they do not identify pictures.
    timestamps: Sequence[int] = ()
    entries: tuple[Entry, ...] = ()  # where decoding may begin, by frame number
    damaged: bool = False  # whether packets are missing, or did not decode while counting
    counted: bool = False  # whether the pictures were counted by decoding them

    def entry_before(self, frame: int) -> Entry | None:
        """Return the last entry from which a frame can be decoded; None: start of the video."""
        position = bisect_right(self.entries, (frame, inf))
        return self.entries[position - 1] if position else None

    def number(self, timestamp: int | None) -> int | None:
        """Return the number of the picture with a timestamp, or None."""
        if timestamp is None:
            return None
        number = bisect_left(self.timestamps, timestamp)
        found = number < self.count and self.timestamps[number] == timestamp
        return number if found else None


@dataclass(frozen=True)
class Coding:
    """The coding of a stream's pictures."""

    codec: str  # FFmpeg's name of the codec, such as 'h264'
    intra: bool  # whether each picture is coded independently
    headers: bytes  # the codec's headers in the container
    pixels: str  # FFmpeg's name of the pixel format

    def is_plain(self, container: str) -> bool:
        """Whether each packet shows one picture at its timestamp, for a container by name."""
        if self.intra:
            return any(name in container for name in (*PLAIN_CONTAINERS, 'avi'))
        return self.codec in PLAIN_CODECS and any(name in container for name in PLAIN_CONTAINERS)

    def describe(self, packet: av.Packet[Any]) -> PacketInfo:
        """Extract the facts about a packet for the index."""
        data = bytes(packet) if packet.is_keyframe and not self.intra else b''
        begins = packet.is_keyframe and self._may_begin(data)
        doubtful = packet.pts is None or packet.is_corrupt or self._is_doubtful(packet, data)
        return PacketInfo(packet.pts, packet.dts, begins, not packet.is_discard, doubtful)

    def _may_begin(self, data: bytes) -> bool:
        """Whether the pictures from a key packet on do not depend on earlier packets."""
        if self.codec == 'h264':
            # Pictures after other kinds of key pictures may refer to earlier pictures. Decoding of
            # 4:4:4 depends on the encoder's version, which only the first packet contains.
            if '444' in self.pixels or self.pixels.startswith('gbr'):
                return False
            return H264_IDR in (first & 31 for first in self._nal_units(data))
        if self.codec == 'hevc':
            return any(first >> 1 & 63 in HEVC_KEYS for first in self._nal_units(data))
        if self.codec in ('mpeg1video', 'mpeg2video'):
            return SEQUENCE_HEADER in data[:64]
        if self.codec == 'mpeg4':
            return OBJECT_LAYER_HEADER in self.headers
        return self.intra or self.codec in ('av1', 'vp8', 'vp9')

    def _is_doubtful(self, packet: av.Packet[Any], data: bytes) -> bool:
        """Whether a packet may show no picture, or more than one."""
        if self.codec == 'hevc':  # some pictures after a broken link are not shown
            return any(first >> 1 & 63 in HEVC_BROKEN_LINKS for first in self._nal_units(data))
        if self.codec == 'vp8' and packet.size:
            return not memoryview(packet)[0] >> 4 & 1  # the bit show_frame
        return packet.size == 0

    def _nal_units(self, data: bytes) -> Iterator[int]:
        """Yield the first byte of each NAL unit of an H.264 or HEVC packet."""
        if self.headers[:1] != b'\1':  # start codes, not lengths, separate the units
            at = data.find(START_CODE)
            while 0 <= at < len(data) - 3:
                yield data[at + 3]
                at = data.find(START_CODE, at + 3)
            return
        width = (self.headers[21 if self.codec == 'hevc' else 4] & 3) + 1
        at = 0
        while at + width < len(data):
            yield data[at + width]
            at += width + int.from_bytes(data[at : at + width], 'big')


def index_by_packets(packets: Sequence[PacketInfo], damaged: bool) -> VideoIndex | None:
    """Index a video by its packets; None if they do not determine the number of pictures."""
    if not packets or not packets[0].begins or any(packet.doubtful for packet in packets):
        return None
    shown = times_shown(packets)
    first = packets[0].pts or 0
    if not shown or not rises(shown) or shown[0] < first:  # leading pictures may not decode
        return None
    return VideoIndex(len(shown), shown, find_entries(packets, shown), damaged)


def index_of_store(stream: VideoStream, tag: StoreTag | None, length: int) -> VideoIndex | None:
    """Index a file of the training store by its container's list of packets.

    Returns None if the file has no tag, or differs from how it was written: other length, other key
    frames, or truncated.
    """
    if tag is None or stream.codec_context.has_b_frames:
        return None
    entries = index_entries(stream)
    times = array('q', (entry.timestamp for entry in entries))
    if len(times) != tag.frames or not rises(times):
        return None
    if entries[-1].pos + entries[-1].size > length:
        return None
    for number, entry in enumerate(entries):
        if entry.is_discard or entry.is_keyframe != (number % KEY_INTERVAL == 0):
            return None
    keys = range(0, tag.frames, KEY_INTERVAL)
    found = tuple(Entry(number, times[number], times[number]) for number in keys)
    return VideoIndex(tag.frames, times, found)


def index_by_pictures(
    times: Sequence[int | None], packets: Sequence[PacketInfo], damaged: bool
) -> VideoIndex:
    """Index a video that was decoded once; ``times`` are the pictures' in decoder output order."""
    shown = times_shown(packets)
    if not rises(shown) or list(times) != shown.tolist():
        return VideoIndex(len(times), damaged=damaged, counted=True)
    return VideoIndex(len(times), shown, find_entries(packets, shown), damaged, counted=True)


def times_shown(packets: Sequence[PacketInfo]) -> array[Any]:
    """Return the sorted timestamps of the packets whose pictures are shown."""
    counted = (packet.pts for packet in packets if packet.counted and packet.pts is not None)
    return array('q', sorted(counted))


def rises(times: Sequence[int]) -> bool:
    """Whether each time is later than the one before."""
    return all(earlier < later for earlier, later in pairwise(times))


def find_entries(packets: Sequence[PacketInfo], shown: Sequence[int]) -> tuple[Entry, ...]:
    """Find the packets at which decoding may begin."""
    entries = []
    latest: float = -inf
    for packet in packets:
        if packet.pts is None:
            continue
        if packet.begins and packet.pts > latest:  # else later pictures precede it in the stream
            entries.append(Entry(bisect_left(shown, packet.pts), packet.pts, packet.dts))
        latest = max(latest, packet.pts)
    return tuple(entries)

"""Facts about the checked videos of a list, in a table beside the list.

The table of ``LIST.txt`` is ``LIST.tsv``. It has a header line with the field names of
:class:`VideoFacts`, and one line for each video, separated by tabs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmengine.fileio import exists, get_local_path

from .._errors import InputError
from .video_files import bytes_of
from .video_index import CountedFrames
from .video_reader import VideoReader, identify

LEVELS = ('quick', 'full')

SLOW = 600.0  # seconds that decoding a whole video may take


class VideoFacts(NamedTuple):
    """One line of the table."""

    path: str  # path in the list
    frames: int
    fps: float  # average frames per second, 0 if unknown
    width: int  # of the displayed frames, in pixels
    height: int  # of the displayed frames, in pixels
    seconds: float  # duration, 0 if unknown
    bytes: int  # size of the file
    mtime: int  # modification time of the file, in ns
    # How frames are numbered: by 'packets'; or they were counted by decoding, and are found by
    # their 'times', or only by their 'order' from the start.
    frames_by: str
    verified: str  # one of LEVELS

    def __str__(self) -> str:
        return '\t'.join(map(str, self))

    @classmethod
    def parse(cls, line: str) -> VideoFacts | None:
        """Read a line of a table; None if it is not one."""
        path, *words = line.rsplit('\t', len(COLUMNS))
        if len(words) != len(COLUMNS) or words[-1] not in LEVELS:
            return None
        try:
            return cls(path, *(kind(word) for kind, word in zip(COLUMNS, words)))
        except ValueError:
            return None

    @property
    def counted(self) -> CountedFrames | None:
        """The counted frames that readers of the video need; None if packets are sufficient."""
        if self.frames_by == 'packets':
            return None
        return CountedFrames(self.frames, self.frames_by == 'times', self.bytes, self.mtime)

    def still_holds(self, video: Path, level: str) -> bool:
        """Whether a file is unchanged since a check that was at least as thorough as ``level``."""
        same = identify(video)[1:] == (self.bytes, self.mtime)
        return same and LEVELS.index(self.verified) >= LEVELS.index(level)


COLUMNS = (int, float, int, int, float, int, int, str, str)
HEADER = '\t'.join(VideoFacts._fields)


def inspect_video(video: Path, path: str, level: str) -> VideoFacts:
    """Check that a video decodes; raise a VideoInputError if it does not.

    ``path`` is its path in the list. Level ``'quick'`` indexes all packets and decodes the first
    frame and the last group of pictures; ``'full'`` decodes all frames.
    """
    bytes_of(video)
    with VideoReader(video, timeout=SLOW) as reader:
        width, height = reader.size
        if level == 'full':
            reader.verify()
        next(reader.frames([len(reader) - 1]))
        frames, fps, times, counted = len(reader), reader.fps, reader.timestamps, reader.counted
    seconds = 0.0
    if fps:
        seconds = frames / fps if times is None else float(times[-1]) + 1 / fps
    frames_by = 'packets' if counted is None else 'times' if counted.by_times else 'order'
    shown = (frames, round(fps, 4), width, height, round(seconds, 3))
    return VideoFacts(path, *shown, *identify(video)[1:], frames_by, level)


def read_facts(table: Path) -> Iterator[VideoFacts]:
    """Read a table and skip malformed lines, whose facts can be collected again."""
    try:
        with table.open(encoding='utf-8', errors='replace') as file:
            for line in file:
                if facts := VideoFacts.parse(line.rstrip('\n')):
                    yield facts
    except OSError as error:
        raise InputError(f'{table}: cannot read it: {error.strerror}') from error


def counted_frames(ann_file: str) -> dict[str, CountedFrames]:
    """Return the counted frames of the videos of a list that need them, by paths in the list."""
    table = f'{os.path.splitext(ann_file)[0]}.tsv'
    if table == ann_file or not exists(table):
        return {}
    with get_local_path(table) as local:
        return {facts.path: facts.counted for facts in read_facts(Path(local)) if facts.counted}

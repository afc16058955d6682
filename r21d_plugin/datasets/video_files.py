"""Find video files by paths, folders and patterns, and report the outcome for each."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

from .._atomic import atomic_write
from .._errors import InputError, escape_bytes
from .text_files import read_lines
from .video_reader import name_video_on_error

SUFFIXES = (
    *('.3g2', '.3gp', '.asf', '.avi', '.divx', '.dv', '.f4v', '.flv', '.gif', '.h264', '.m2t'),
    *('.m2ts', '.m2v', '.m4v', '.mkv', '.mov', '.mp4', '.mpe', '.mpeg', '.mpg', '.mts', '.mxf'),
    *('.ogm', '.ogv', '.qt', '.rm', '.rmvb', '.ts', '.vob', '.webm', '.wmv'),
)
"""Extensions of the files in a folder that are treated as videos."""


class Extraction(NamedTuple):
    """The outcome of computing and storing a result for a video."""

    video: Path
    error: str = ''  # why no result is stored; empty if one is
    computed: bool = False  # whether it was computed in this run, not in an earlier one


def find_videos(*sources: str | Path) -> list[Path]:
    """List the videos of files, folders and patterns (``'videos/*/a*'``), each sorted.

    Raises an InputError if a source matches no video.
    """
    return list(dict.fromkeys(video for source in sources for video in expand(Path(source))))


def expand(source: Path) -> list[Path]:
    """List the videos of one file, folder or pattern."""
    if source.is_dir():
        return sorted(Path(source, name) for name in names_below(source))
    if os.path.lexists(source):
        return [source]
    matches = sorted(glob(str(source), recursive=True))
    if not matches:
        raise InputError(f'{source}: no such folder of videos, file or pattern')
    return [video for match in matches for video in expand(Path(match))]


def names_below(folder: Path, suffixes: Collection[str] = SUFFIXES) -> list[str]:
    """List the files below a folder with given extensions, unsorted; fast for a million files.

    Paths are relative to the folder. Raises an InputError if there are none.
    """
    names = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        for path in (os.path.join(parent, name) for name in folders):
            if os.path.islink(path):
                raise InputError(
                    f'{path}: links to folders are not followed: move the folder there, or name '
                    'its videos'
                )
        below = os.path.relpath(parent, folder)
        below = '' if below == os.curdir else below
        for file in files:
            if os.path.splitext(file)[1].lower() in suffixes:
                names.append(os.path.join(below, file))
    if not names:
        known = '.avi, .mkv, .mov, .mp4, .webm, ...: docs/videos.md lists all extensions'
        raise InputError(f'{folder}: no videos in it ({known})')
    return names


def refuse(error: OSError) -> None:
    """Raise an InputError for a folder that cannot be read, which os.walk would skip."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise InputError(f'{error.filename}: cannot read it: {error.strerror}') from error


def by_name(videos: Iterable[Path], sources: Iterable[str | Path]) -> dict[str, Path]:
    """Name each video by its path relative to the common folder of all sources.

    The folder of a file is its parent; that of a pattern is the last one before a wildcard.
    """
    folders = []
    for source in sources:
        path = Path(os.path.abspath(source))
        while has_magic(str(path)) and not os.path.lexists(path):
            path = path.parent
        folders.append(path if path.is_dir() else path.parent)
    folder = os.path.commonpath(folders)
    return {os.path.relpath(video, folder): video for video in videos}


def read_list(path: Path) -> list[Path]:
    """Read a file with one video per line; raise an InputError if it or a video is missing.

    Names that are not UTF-8 are decoded as by the file system.
    """
    videos = [Path(line) for line, _ in read_lines(path, errors='surrogateescape')]
    if not videos:
        raise InputError(f'{path}: no videos in this list')
    return videos


def bytes_of(video: Path) -> int:
    """Return the size of a video file; raise a VideoInputError if it is missing."""
    with name_video_on_error(str(video)):
        return video.stat().st_size


@dataclass
class SkippedVideos:
    """Counts of videos that were read and skipped, with a line for each skipped video."""

    read: int = 0
    skipped: int = 0
    reasons: set[str] = field(default_factory=set)

    def add(self, read: int, skipped: int, reasons: Iterable[str]) -> None:
        """Count more videos."""
        self.read += read
        self.skipped += skipped
        self.reasons.update(reasons)

    def write(self, path: Path) -> None:
        """Write the reasons, one per line, or remove the list of an earlier run."""
        if self.reasons:
            with atomic_write(path, parents=True) as partial:
                partial.write_text(''.join(f'{line}\n' for line in sorted(self.reasons)), 'utf-8')
        else:
            path.unlink(missing_ok=True)

    def __str__(self) -> str:
        return f'{self.skipped} of {self.read} videos read'


def write_report(done: Sequence[Extraction], report: Path) -> str:
    """Write a file with the videos that do not decode, if any, and return a summary."""
    errors = [extraction.error for extraction in done if extraction.error]
    SkippedVideos(len(done), len(errors), set(errors)).write(report)
    if done and len(errors) == len(done):
        raise InputError(f'{report}: none of the videos decodes')
    computed = sum(extraction.computed for extraction in done)
    summary = f'{computed} computed, {len(done) - computed - len(errors)} there already'
    return summary + (f', {len(errors)} broken: see {escape_bytes(report)}' if errors else '')

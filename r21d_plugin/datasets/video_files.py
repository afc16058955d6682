"""Find video files by files, folders and patterns, and report what was done with each."""

import os
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

from .._errors import InputError
from .decoding import VIDEO_SUFFIXES, name_video_on_error
from .skipped_videos import SkippedVideos
from .text_files import read_lines


class Extraction(NamedTuple):
    """The outcome of computing and storing something of a video.

    Attributes:
        video (Path): The video.
        error (str): Why nothing is stored; empty if something is.
        computed (bool): Whether it was computed now, not in an earlier run.
    """

    video: Path
    error: str = ''
    computed: bool = False


def find_videos(*sources: str | Path) -> list[Path]:
    """List the videos that files, folders and patterns name, each once.

    Args:
        *sources (str or Path): Any files; folders, for all videos below them, by their extension;
            patterns such as ``'videos/*/a*'``, for the files and folders that match, ``**``
            standing for any folders.

    Returns:
        list[Path]: In the order of the sources, sorted within each.

    Raises:
        InputError: If a source names no video, or one whose name is not UTF-8.
    """
    videos = dict.fromkeys(video for source in sources for video in expand(Path(source)))
    for video in videos:
        try:
            str(video).encode()
        except UnicodeEncodeError as error:  # decord cannot open it
            raise InputError(f'{str(video)!a}: its name is not UTF-8: rename it') from error
    return list(videos)


def expand(source: Path) -> list[Path]:
    """List the videos of one file, folder or pattern."""
    if source.is_dir():
        named = (path for path in source.rglob('*') if path.suffix.lower() in VIDEO_SUFFIXES)
        videos = sorted(path for path in named if not path.is_dir())
        if not videos:
            raise InputError(f'{source}: no videos in it ({" ".join(VIDEO_SUFFIXES)})')
        return videos
    if os.path.lexists(source):
        return [source]
    matches = sorted(glob(str(source), recursive=True))
    if not matches:
        raise InputError(f'{source}: no such folder of videos, file or pattern')
    return [video for match in matches for video in expand(Path(match))]


def by_name(videos: Iterable[Path], sources: Iterable[str | Path]) -> dict[str, Path]:
    """Name each video by its path below the folder that all sources have in common.

    A file's folder is the one that it is in, a pattern's the last one before its first wildcard.
    """
    folder = os.path.commonpath([folder_of(Path(source)) for source in sources])
    return {os.path.relpath(video, folder): video for video in videos}


def folder_of(source: Path) -> str:
    """Absolute path of the folder of a file or pattern; of a folder its own."""
    path = Path(os.path.abspath(source))
    while has_magic(str(path)) and not os.path.lexists(path):
        path = path.parent
    return str(path if path.is_dir() else path.parent)


def read_list(path: Path) -> list[Path]:
    """Read a file that names a video a line.

    Raises:
        InputError: If there is no such file or no video in it.
    """
    videos = [Path(line) for line, _ in read_lines(path)]
    if not videos:
        raise InputError(f'{path}: no videos in this list')
    return videos


def bytes_of(video: Path) -> int:
    """Size of a video file.

    Raises:
        VideoInputError: If there is no such file.
    """
    with name_video_on_error(str(video)):
        return video.stat().st_size


def write_report(done: Sequence[Extraction], report: Path) -> str:
    """Write the list of videos that do not decode, if there are any.

    Args:
        done (Sequence[Extraction]): The outcome for each video.
        report (Path): The file.

    Returns:
        str: How many were computed, there already and broken.

    Raises:
        InputError: If all are broken, or the list cannot be written.
    """
    skipped = SkippedVideos()
    for extraction in done:
        reasons = [extraction.error] if extraction.error else []
        skipped.add(1, len(reasons), reasons)
    computed = sum(extraction.computed for extraction in done)
    summary = f'{computed} computed, {len(done) - computed - skipped.skipped} there already'
    skipped.write(report)
    if skipped.skipped == len(done):
        raise InputError(f'{report}: none of the videos decodes')
    return summary + (f', {skipped.skipped} broken: see {report}' if skipped.skipped else '')

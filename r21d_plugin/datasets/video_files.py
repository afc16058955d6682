"""Many video files: which they are, and what became of each."""

import os
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

from .._atomic import written_whole
from .._errors import InputError
from .decoding import VIDEO_SUFFIXES, naming_the_video
from .lines import read_lines


class Extraction(NamedTuple):
    """What became of a video of which something was to be computed and stored.

    Attributes:
        video (Path): The video.
        error (str): Why there is nothing of it; empty if there is.
        computed (bool): Whether it was computed now, not in an earlier run.
    """

    video: Path
    error: str = ''
    computed: bool = False


def find_videos(*sources: str | Path) -> list[Path]:
    """The videos that files, folders and patterns name, each once.

    Args:
        *sources (str or Path): Any files; folders, for all videos below them,
            by their extension; patterns such as ``'videos/*/a*'``, for the
            files and folders that match, ``**`` standing for any folders.

    Returns:
        list[Path]: In the order of the sources, sorted within each.

    Raises:
        InputError: If a source names no video, or one whose name is not UTF-8.
    """
    videos = dict.fromkeys(video for source in sources for video in named_by(Path(source)))
    for video in videos:
        try:
            str(video).encode()
        except UnicodeEncodeError as error:  # decord cannot open it
            raise InputError(f'{str(video)!a}: its name is not UTF-8: rename it') from error
    return list(videos)


def named_by(source: Path) -> list[Path]:
    """The videos that a file, folder or pattern names."""
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
    return [video for match in matches for video in named_by(Path(match))]


def by_name(videos: Iterable[Path], sources: Iterable[str | Path]) -> dict[str, Path]:
    """Name each video by its path below the folder that all sources have in common.

    A file's folder is the one that it is in, a pattern's the last one before
    its first wildcard.

    Args:
        videos (Iterable[Path]): Videos that the sources name.
        sources (Iterable[str or Path]): Files, folders and patterns.

    Returns:
        dict[str, Path]: Videos by name.
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
        InputError: If there is no such file.
    """
    with naming_the_video(str(video)):
        return video.stat().st_size


def write_report(done: Sequence[Extraction], report: Path) -> str:
    """Write the list of broken videos, if there are any, in place of an earlier one.

    Args:
        done (Sequence[Extraction]): What became of all videos.
        report (Path): The file: for each broken video a line that says why.

    Returns:
        str: How many were computed, there already and broken.

    Raises:
        InputError: If all are broken, or the list cannot be written.
    """
    broken = sorted(extraction.error for extraction in done if extraction.error)
    computed = sum(extraction.computed for extraction in done)
    summary = f'{computed} computed, {len(done) - computed - len(broken)} there already'
    report.unlink(missing_ok=True)
    if broken:
        with written_whole(report, parents=True) as partial:
            partial.write_text('\n'.join(broken) + '\n', encoding='utf-8')
        summary += f', {len(broken)} broken: see {report}'
    if len(broken) == len(done):
        raise InputError(f'{report}: none of the videos decodes')
    return summary

"""From official annotations and a folder of videos to what the configs read."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

from .._atomic import naming_the_file
from .._errors import InputError
from .annotations import Annotations, Video
from .decoding import VIDEO_SUFFIXES, all_frames
from .workers import map_in_order


class Report(NamedTuple):
    """What became of an annotated video.

    Attributes:
        video (Video): The video.
        path (str): Its file below the folder of videos; empty if there is none.
        problem (str): ``'missing'``, ``'broken'``, ``'duplicate'`` or empty.
    """

    video: Video
    path: str
    problem: str = ''


def index_videos(folder: Path) -> dict[str, str]:
    """Find all videos below a folder, laid out flat, by class or in any other way.

    Returns:
        dict[str, str]: Path below the folder by name without extension. Where
        several have the same name, it is by the name of their folder and
        their own, as ``run/clip_1``, and by their own it is empty.

    Raises:
        InputError: If there is no such folder or no video in it.
    """
    index: dict[str, str] = {}
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            stem, suffix = os.path.splitext(file)
            if suffix.lower() not in VIDEO_SUFFIXES:
                continue
            path = Path(parent, file).relative_to(folder)
            if stem in index:
                for other in filter(None, (Path(index[stem]), path)):
                    index[f'{other.parent.name}/{stem}'] = str(other)
                index[stem] = ''
            else:
                index[stem] = str(path)
    if not index:
        raise InputError(f'{folder}: no videos in this folder ({" ".join(VIDEO_SUFFIXES)})')
    return index


def match_videos(annotations: Annotations, index: dict[str, str]) -> Iterator[Report]:
    """Find the file of each annotated video.

    Yields:
        Report: One for each line; a video that its subset has already is a
        duplicate.

    Raises:
        InputError: If a video is in a subset twice, with different labels.
    """
    seen: dict[tuple[str, str], tuple[int, ...]] = {}
    for video in annotations.videos():
        key = (video.subset, video.names[0])
        labels = seen.get(key, video.labels)
        if labels != video.labels:
            raise InputError(
                f'{video.where}: {video.names[0]} has labels {video.labels}, and {labels} before'
            )
        path = next((index[name] for name in video.names if index.get(name)), '')
        problem = 'duplicate' if key in seen else '' if path else 'missing'
        seen[key] = video.labels
        yield Report(video, path, problem)


def opens(path: str) -> bool:
    """Whether a video opens and has a frame that decodes."""
    try:
        next(all_frames(path))
    except Exception:  # decord raises whatever the bytes make it raise
        return False
    return True


def check_videos(reports: Iterable[Report], folder: Path, workers: int) -> Iterator[Report]:
    """Open each video that was found, in parallel.

    Yields:
        Report: The same, in order, ``'broken'`` where the video does not open.
    """
    return map_in_order(partial(check_one, folder), reports, workers)


def check_one(folder: Path, report: Report) -> Report:
    """Open the video of a report."""
    if report.problem or opens(str(folder / report.path)):
        return report
    return report._replace(problem='broken')


class Lists:
    """The annotation files of a dataset, which appear when all are complete.

    Args:
        out (Path): Folder to write to.
        dataset (str): Name of the dataset, with which their names begin.
    """

    def __init__(self, out: Path, dataset: str) -> None:
        self.out = out
        self.dataset = dataset
        self.files: dict[Path, TextIO] = {}
        self.counts: dict[str, dict[str, int]] = {}
        out.mkdir(parents=True, exist_ok=True)

    def add(self, report: Report) -> None:
        """Write a video to its list, or to that of its problem."""
        subset, problem = report.video.subset, report.problem
        counts = self.counts.setdefault(subset, {})
        counts[problem or 'written'] = counts.get(problem or 'written', 0) + 1
        if problem:
            self._write(f'{problem}_videos.txt', f'{report.video.where}: {report.video.names[0]}')
        else:
            labels = ' '.join(map(str, report.video.labels))
            self._write(self.name(subset), f'{report.path} {labels}')

    def name(self, subset: str) -> str:
        """Name of a list, as MMAction2 has it."""
        head, _, split = subset.partition('_split_')
        middle = f'{head}_split_{split}' if split else f'{head}_list'
        return f'{self.dataset}_{middle}_videos.txt'

    def _write(self, name: str, line: str) -> None:
        path = self.out / name
        with naming_the_file(path):
            if path not in self.files:
                self.files[path] = path.with_name(f'.{name}.partial').open('w', encoding='utf-8')
            self.files[path].write(line + '\n')

    def finish(self, classes: list[str]) -> None:
        """Write the label map and put all files in place."""
        for class_name in classes:
            self._write(f'label_map_{self.dataset}.txt', class_name)
        for path, file in self.files.items():
            with naming_the_file(path):
                file.close()
        for name in ('missing', 'broken', 'duplicate'):
            (self.out / f'{name}_videos.txt').unlink(missing_ok=True)
        for path, file in self.files.items():
            Path(file.name).replace(path)

    def discard(self) -> None:
        """Remove what is not complete."""
        for file in self.files.values():
            with suppress(OSError):  # of a full disk, which has been told
                file.close()
            Path(file.name).unlink(missing_ok=True)


def link_videos(out: Path, folder: Path, names: Iterable[str]) -> None:
    """Link the folder of videos to where the configs look for it.

    Raises:
        InputError: If something else is there.
    """
    for name in names:
        link = out / name
        if link.resolve() == folder.resolve():
            continue
        if link.exists() and not link.is_symlink():
            raise InputError(f'{link}: is there and is not {folder}: move it away')
        link.unlink(missing_ok=True)
        link.symlink_to(folder.resolve())


FOLDERS = dict(
    kinetics400=('videos_train', 'videos_val'),
    sports1m=('videos',),
    ucf101=('videos',),
    hmdb51=('videos',),
)
"""Folders that the configs look for."""


def find_ffmpeg() -> str:
    """Path of ffmpeg: the system's, or that of the package imageio-ffmpeg.

    Raises:
        InputError: If there is none.
    """
    ffmpeg = shutil.which('ffmpeg')
    if ffmpeg is None and importlib.util.find_spec('imageio_ffmpeg'):
        ffmpeg = importlib.import_module('imageio_ffmpeg').get_ffmpeg_exe()
    if ffmpeg is None:
        raise InputError('--reencode needs ffmpeg: install it, or pip install imageio-ffmpeg')
    return ffmpeg


def reencode(source: Path, target: Path, seconds: tuple[float, float] | None = None) -> str:
    """Encode a video as the authors did: 30 frames a second, shorter side 320.

    Args:
        source (Path): The video.
        target (Path): File to write; it appears when it is complete.
        seconds (tuple[float, float], optional): Part to cut out. Defaults to
            None: all.

    Returns:
        str: What ffmpeg complains of; empty if it does not.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Of a video in several splits, two processes may write the same target.
    partial_file = target.with_name(f'.{target.stem}.{os.getpid()}.partial.mp4')
    shorter = "scale='if(gt(iw,ih),-2,320)':'if(gt(iw,ih),320,-2)'"
    part = [] if seconds is None else ['-ss', str(seconds[0]), '-t', str(seconds[1] - seconds[0])]
    command = [find_ffmpeg(), '-nostdin', '-loglevel', 'error', '-y', *part, '-i', str(source)]
    command += ['-r', '30', '-vf', shorter, '-an', '-c:v', 'libx264', str(partial_file)]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors='replace')
    if result.returncode == 0:
        partial_file.replace(target)
        return ''
    partial_file.unlink(missing_ok=True)
    return (result.stderr.strip().splitlines() or ['unknown error'])[-1]


def reencode_all(
    reports: Iterable[Report], folder: Path, out: Path, cut: bool, workers: int
) -> Iterator[Report]:
    """Encode the videos that were found; what an earlier run encoded is kept.

    Args:
        reports (Iterable[Report]): The videos.
        folder (Path): Where they are.
        out (Path): Where to write them.
        cut (bool): Whether to cut out the annotated seconds of those whose
            file is the whole video.
        workers (int): Processes.

    Yields:
        Report: The same, in order, with the path of the new file; ``'broken'``
        where ffmpeg fails.
    """
    return map_in_order(partial(reencode_one, folder, out, cut), reports, workers)


def reencode_one(folder: Path, out: Path, cut: bool, report: Report) -> Report:
    """Encode the video of a report."""
    if report.problem:
        return report
    source, clip = Path(report.path), Path(report.video.names[0]).name
    name = source.with_name(f'{clip}.mp4')
    target = out / name
    if not target.exists():
        seconds = report.video.seconds if cut and source.stem != clip else None
        # ffmpeg waits for a pipe that no one writes to.
        if not (folder / source).is_file() or reencode(folder / source, target, seconds):
            return report._replace(problem='broken')
    return report._replace(path=str(name))

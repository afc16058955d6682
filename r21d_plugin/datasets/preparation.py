"""Annotation files for the configs, from the official ones and a folder of videos."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TextIO

from .._atomic import name_file_on_error
from .._errors import InputError
from .annotations import Annotations, Video
from .decoding import VIDEO_SUFFIXES, all_frames

FOLDERS = dict(
    kinetics400=('videos_train', 'videos_val'),
    sports1m=('videos',),
    ucf101=('videos',),
    hmdb51=('videos',),
)
"""Folders of videos that the configs of each benchmark read."""

PROBLEMS = ('missing', 'broken', 'duplicate')


class MatchedVideo(NamedTuple):
    """An annotated video and its file.

    Attributes:
        video (Video): The video.
        path (str): Its file below the folder of videos; empty if there is none.
        problem (str): One of :data:`PROBLEMS`, or empty.
    """

    video: Video
    path: str
    problem: str = ''


def index_videos(folder: Path) -> dict[str, str]:
    """Find all videos below a folder, laid out flat, by class or in any other way.

    Returns:
        dict[str, str]: Path below the folder by name without extension. Where several have the same
        name, it is by the name of their folder and their own, as ``run/clip_1``, and by their own
        it is empty.

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


def match_videos(annotations: Annotations, index: dict[str, str]) -> Iterator[MatchedVideo]:
    """Find the file of each annotated video; one that its list has already is a duplicate.

    Raises:
        InputError: If a video is in a list twice, with different labels.
    """
    seen: dict[tuple[str, str], tuple[int, ...]] = {}
    for video in annotations.videos:
        key = (video.subset, video.names[0])
        labels = seen.get(key, video.labels)
        if labels != video.labels:
            raise InputError(
                f'{video.where}: {video.names[0]} has labels {video.labels}, and {labels} before'
            )
        path = next((index[name] for name in video.names if index.get(name)), '')
        problem = 'duplicate' if key in seen else '' if path else 'missing'
        seen[key] = video.labels
        yield MatchedVideo(video, path, problem)


def check_video(folder: Path, match: MatchedVideo) -> MatchedVideo:
    """Decode a frame of a video; one that does not decode is ``'broken'``."""
    if not match.problem:
        try:
            next(all_frames(str(folder / match.path)))
        except Exception:  # decord raises whatever the bytes make it raise
            return match._replace(problem='broken')
    return match


class AnnotationFiles:
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

    def add(self, match: MatchedVideo) -> None:
        """Write a video to its list, or to that of its problem."""
        subset, problem = match.video.subset, match.problem
        counts = self.counts.setdefault(subset, {})
        counts[problem or 'written'] = counts.get(problem or 'written', 0) + 1
        if problem:
            self._write(f'{problem}_videos.txt', f'{match.video.where}: {match.video.names[0]}')
            return
        head, _, split = subset.partition('_split_')
        middle = f'{head}_split_{split}' if split else f'{head}_list'  # as MMAction2 names them
        labels = ' '.join(map(str, match.video.labels))
        self._write(f'{self.dataset}_{middle}_videos.txt', f'{match.path} {labels}')

    def _write(self, name: str, line: str) -> None:
        path = self.out / name
        with name_file_on_error(path):
            if path not in self.files:
                self.files[path] = path.with_name(f'.{name}.partial').open('w', encoding='utf-8')
            self.files[path].write(line + '\n')

    def finish(self, classes: list[str]) -> None:
        """Write the label map and put all files in place."""
        for class_name in classes:
            self._write(f'label_map_{self.dataset}.txt', class_name)
        for path, file in self.files.items():
            with name_file_on_error(path):
                file.close()
        for name in PROBLEMS:
            (self.out / f'{name}_videos.txt').unlink(missing_ok=True)
        for path, file in self.files.items():
            Path(file.name).replace(path)

    def discard(self) -> None:
        """Remove what is not complete."""
        for file in self.files.values():
            with suppress(OSError):  # of a full disk, which was reported
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


def reencode_video(folder: Path, out: Path, cut: bool, match: MatchedVideo) -> MatchedVideo:
    """Encode a video as the authors did: 30 frames a second, shorter side 320.

    What an earlier run encoded is kept. What ffmpeg cannot read is ``'broken'``.

    Args:
        folder (Path): Folder of the videos.
        out (Path): Where to write it.
        cut (bool): Whether to cut out the annotated seconds where the file is the whole video.
        match (MatchedVideo): The video.
    """
    if match.problem:
        return match
    source, clip = Path(match.path), Path(match.video.names[0]).name
    name = source.with_name(f'{clip}.mp4')
    if not (out / name).exists():
        seconds = match.video.seconds if cut and source.stem != clip else None
        # ffmpeg waits for a pipe that no one writes to.
        if not (folder / source).is_file() or not encode(folder / source, out / name, seconds):
            return match._replace(problem='broken')
    return match._replace(path=str(name))


def encode(source: Path, target: Path, seconds: tuple[float, float] | None) -> bool:
    """Run ffmpeg on a video, or on a part of it; return whether it succeeded."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Of a video in several splits, two processes may write the same target.
    partial_file = target.with_name(f'.{target.stem}.{os.getpid()}.partial.mp4')
    shorter = "scale='if(gt(iw,ih),-2,320)':'if(gt(iw,ih),320,-2)'"
    part = [] if seconds is None else ['-ss', str(seconds[0]), '-t', str(seconds[1] - seconds[0])]
    command = [find_ffmpeg(), '-nostdin', '-loglevel', 'quiet', '-y', *part, '-i', str(source)]
    command += ['-r', '30', '-vf', shorter, '-an', '-c:v', 'libx264', str(partial_file)]
    succeeded = subprocess.run(command).returncode == 0
    if succeeded:
        partial_file.replace(target)
    partial_file.unlink(missing_ok=True)
    return succeeded

"""Annotation files for the configs, from the official ones and a folder of videos."""

import os
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from .._atomic import atomic_write, name_file_on_error
from .._errors import InputError, first_line
from .annotations import Video
from .decoding import all_frames
from .video_files import SUFFIXES, videos_below

PROBLEMS = ('missing', 'broken', 'duplicate')


class MatchedVideo(NamedTuple):
    """An annotated video and its file."""

    video: Video
    path: str  # below the folder of videos; empty if there is none
    problem: str = ''  # one of PROBLEMS, or empty
    reason: str = ''  # of a broken video: the file, and what is wrong with it


def index_videos(folder: Path) -> dict[str, str]:
    """Find all videos below a folder, laid out flat, by class or in any other way.

    Files without an extension count, as annotations name what is looked for.

    Returns paths below the folder by name without extension, as ``clip_1``, or where several have
    the same name, by that of their folder too, as ``run/clip_1``.
    """
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in videos_below(folder, (*SUFFIXES, '')):
        by_stem[path.stem].append(path.relative_to(folder))
    index: dict[str, str] = {}
    for stem, paths in by_stem.items():
        for path in paths:
            index[stem if len(paths) == 1 else f'{path.parent.name}/{stem}'] = str(path)
    return index


def match_videos(videos: Iterable[Video], index: dict[str, str]) -> Iterator[MatchedVideo]:
    """Find the file of each video; one that a list has again, with its labels, is a duplicate.

    A file whose path no list in UTF-8 can name is broken.
    """
    seen: dict[tuple[str, str], tuple[int, ...]] = {}
    for video in videos:
        key = (video.subset, video.names[0])
        labels = seen.get(key, video.labels)
        if labels != video.labels:
            before = f'labels {video.labels}, and {labels} before'
            raise InputError(f'{video.where}: {video.names[0]} has {before}')
        path = next((index[name] for name in video.names if name in index), '')
        problem = 'duplicate' if key in seen else '' if path else 'missing'
        seen[key] = video.labels
        match = MatchedVideo(video, path, problem)
        yield match if is_utf8(path) else broken(match, 'its name is not UTF-8: rename it')


def is_utf8(path: str) -> bool:
    """Whether the bytes of a path, as the system has it, are UTF-8."""
    return not any('\ud800' <= character <= '\udfff' for character in path)


def broken(match: MatchedVideo, why: str) -> MatchedVideo:
    """Mark a video as broken, unless it has another problem already."""
    reason = f'{ascii(match.path) if not is_utf8(match.path) else match.path}: {why}'
    return match if match.problem else match._replace(problem='broken', reason=reason)


def check_video(folder: Path, match: MatchedVideo) -> MatchedVideo:
    """Decode a frame of a video; one that does not decode is ``'broken'``."""
    if not match.problem:
        try:
            next(all_frames(str(folder / match.path)))
        except Exception as error:  # decord raises whatever the bytes make it raise
            why = first_line(error).removeprefix(f'{folder / match.path}: ')
            return broken(match, why.partition(':')[0] or type(error).__name__)
    return match


class AnnotationFiles:
    """The annotation files of a dataset, which appear in a folder all at once."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self.lines: dict[str, list[str]] = defaultdict(list)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, match: MatchedVideo) -> None:
        """Add a video to its list, or to that of its problem."""
        (subset, names, labels, where, _), path, problem, reason = match
        self.counts[subset][problem or 'written'] += 1
        if problem:
            line = f'{where}: {names[0]}' + (f': {reason}' if reason else '')
            self.lines[f'{problem}_videos.txt'].append(line)
        else:
            name = subset if '_split_' in subset else f'{subset}_list'  # as MMAction2 names them
            line = ' '.join([path, *map(str, labels)])
            self.lines[f'{self.dataset}_{name}_videos.txt'].append(line)

    def write(self, out: Path, classes: list[str]) -> None:
        """Write the lists and the label map, and remove the lists of an earlier run's problems."""
        files = self.lines | {f'label_map_{self.dataset}.txt': classes}
        with ExitStack() as written:
            for name, lines in files.items():
                partial = written.enter_context(atomic_write(out / name))
                partial.write_text(''.join(f'{line}\n' for line in lines), 'utf-8')
        for problem in PROBLEMS:
            if f'{problem}_videos.txt' not in files:
                (out / f'{problem}_videos.txt').unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raise an InputError if a folder, there or not, cannot be written to; leave nothing there."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with name_file_on_error(folder), TemporaryFile(dir=there):
        pass


def link_videos(out: Path, folder: Path, dataset: str) -> None:
    """Link the folder of videos to where the configs of a dataset look for it."""
    with name_file_on_error(out):
        out.mkdir(parents=True, exist_ok=True)
    for name in ('videos_train', 'videos_val') if dataset == 'kinetics400' else ('videos',):
        link = out / name
        if link.resolve() == folder.resolve():
            continue
        if link.exists() and not link.is_symlink():
            raise InputError(f'{link}: is there and is not {folder}: move it away')
        with name_file_on_error(link):
            link.unlink(missing_ok=True)
            link.symlink_to(folder.resolve())


def find_ffmpeg() -> str:
    """Path of ffmpeg: the system's, or that of the package imageio-ffmpeg."""
    if ffmpeg := shutil.which('ffmpeg'):
        return ffmpeg
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError as error:
        message = '--reencode needs ffmpeg: install it, or pip install imageio-ffmpeg'
        raise InputError(message) from error
    return get_ffmpeg_exe()


def reencode_video(folder: Path, out: Path, cut: bool, match: MatchedVideo) -> MatchedVideo:
    """Encode a video into ``out``, unless it is there; ``'broken'`` is what ffmpeg cannot read.

    With ``cut`` only the annotated seconds, where the file is the whole video.
    """
    if match.problem:
        return match
    source, clip = Path(match.path), Path(match.video.names[0]).name
    name = source.with_name(f'{clip}.mp4')
    if not (out / name).exists():
        seconds = match.video.seconds if cut and source.stem != clip else None
        # ffmpeg waits for a pipe that no one writes to.
        if not (folder / source).is_file():
            return broken(match, 'not a file')
        if not encode(folder / source, out / name, seconds):
            return broken(match, 'ffmpeg cannot encode it')
    return match._replace(path=str(name))


def encode(source: Path, target: Path, seconds: tuple[float, float] | None) -> bool:
    """Encode a video, or some seconds, as the authors: 30 frames a second, shorter side 320."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Of a video in several splits, two processes may write the same target.
    partial_file = target.with_name(f'.{target.stem}.{os.getpid()}.partial.mp4')
    shorter = "scale='if(gt(iw,ih),-2,320)':'if(gt(iw,ih),320,-2)'"
    part = [] if seconds is None else ['-ss', str(seconds[0]), '-t', str(seconds[1] - seconds[0])]
    command = [find_ffmpeg(), '-nostdin', '-loglevel', 'quiet', '-y', *part, '-i', str(source)]
    command += ['-r', '30', '-vf', shorter, '-an', '-c:v', 'libx264', str(partial_file)]
    if succeeded := subprocess.run(command).returncode == 0:
        partial_file.replace(target)
    partial_file.unlink(missing_ok=True)
    return succeeded

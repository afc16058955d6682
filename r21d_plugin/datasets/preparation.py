"""Annotation files for the configs, from the official ones and a folder of videos."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from .._atomic import atomic_write, name_file_on_error
from .._errors import InputError
from .annotations import Video
from .video_checks import Checked, Task
from .video_facts import VideoFacts, read_facts, table_text
from .video_files import SUFFIXES, names_below

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
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in sorted(names_below(folder, (*SUFFIXES, ''))):
        by_stem[os.path.splitext(os.path.basename(path))[0]].append(path)
    index: dict[str, str] = {}
    for stem, paths in by_stem.items():
        for path in paths:
            parent = os.path.basename(os.path.dirname(path))
            index[stem if len(paths) == 1 else f'{parent}/{stem}'] = path
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
        why = 'its name is not UTF-8, or has a line break: rename it'
        yield match if is_listable(path) else broken(match, why)


def is_listable(path: str) -> bool:
    """Whether a line of a list in UTF-8 can hold a path."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return '\n' not in path and '\r' not in path


def broken(match: MatchedVideo, why: str) -> MatchedVideo:
    """Mark a video as broken, unless it has another problem already."""
    path = match.path if is_listable(match.path) else ascii(match.path)
    return match if match.problem else match._replace(problem='broken', reason=f'{path}: {why}')


def task_of(match: MatchedVideo, store: bool, cut: bool) -> Task | None:
    """What to check of a video; None if it has a problem already.

    Args:
        match: The video.
        store: Whether it goes into a store.
        cut: Whether only its annotated seconds do, where the file is the whole video.
    """
    if match.problem:
        return None
    if not store:
        return Task(match.path)
    source, clip = Path(match.path), Path(match.video.names[0]).name
    if cut and match.video.seconds and source.stem != clip:
        return Task(match.path, str(source.with_name(f'{clip}.mp4')), match.video.seconds)
    return Task(match.path, str(source.with_suffix('.mp4')))


def apply_check(match: MatchedVideo, checked: Checked) -> MatchedVideo:
    """Give a video the path for lists, or mark it as broken."""
    if checked.reason:
        return broken(match, checked.reason)
    return match._replace(path=checked.task.path)


class AnnotationFiles:
    """The annotation files of a dataset and their tables, which appear in a folder all at once."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset
        self.lines: dict[str, list[str]] = defaultdict(list)
        self.tables: dict[str, list[VideoFacts]] = defaultdict(list)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)

    @property
    def label_map(self) -> str:
        """Name of the file of the names of classes."""
        return f'label_map_{self.dataset}.txt'

    def list_name(self, subset: str) -> str:
        """Name of the list of a subset, without extension, as MMAction2 names them."""
        name = subset if '_split_' in subset else f'{subset}_list'
        return f'{self.dataset}_{name}_videos'

    def problem_line(self, match: MatchedVideo) -> str:
        """Line that names a video with a problem."""
        line = f'{match.video.where}: {match.video.names[0]}'
        return line + (f': {match.reason}' if match.reason else '')

    def add(self, match: MatchedVideo, facts: VideoFacts | None = None) -> None:
        """Add a video, and what is known of it, to its list, or to that of its problem."""
        subset, labels = match.video.subset, match.video.labels
        self.counts[subset][match.problem or 'written'] += 1
        if match.problem:
            self.lines[f'{match.problem}_videos.txt'].append(self.problem_line(match))
            return
        name = self.list_name(subset)
        self.lines[f'{name}.txt'].append(' '.join([match.path, *map(str, labels)]))
        if facts:
            self.tables[f'{name}.tsv'].append(facts)

    def write(self, out: Path, classes: list[str]) -> None:
        """Write all files, and remove those of an earlier run that these do not replace."""
        lines = {**self.lines, self.label_map: classes}
        files = {name: ''.join(f'{line}\n' for line in content) for name, content in lines.items()}
        files.update({name: table_text(facts) for name, facts in self.tables.items()})
        with ExitStack() as written:
            for name, text in files.items():
                partial = written.enter_context(atomic_write(out / name))
                partial.write_text(text, 'utf-8')
        for name in self.old_files(out):
            if name not in files:
                (out / name).unlink(missing_ok=True)

    def old_tables(self, out: Path) -> list[str]:
        """Names of the tables of earlier runs."""
        return [path.name for path in out.glob(f'{self.dataset}_*_videos.tsv')]

    def old_files(self, out: Path) -> list[str]:
        """Names of what earlier runs wrote, and a run may not write again."""
        return [*(f'{problem}_videos.txt' for problem in PROBLEMS), *self.old_tables(out)]


class Journal:
    """What runs that were stopped found out, a line for each video: a table beside the lists."""

    def __init__(self, out: Path, dataset: str) -> None:
        self.path = out / f'.{dataset}_videos.partial.tsv'

    def read(self, tables: Iterable[Path]) -> dict[str, VideoFacts]:
        """What is known by this journal and by tables, by paths."""
        found = (path for path in (*tables, self.path) if path.exists())
        return {facts.path: facts for path in found for facts in read_facts(path)}

    def add(self, facts: VideoFacts) -> None:
        """Add a line."""
        with name_file_on_error(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open('a', encoding='utf-8') as file:
                file.write(f'{facts}\n')

    def remove(self) -> None:
        """Remove it: all of it is in tables."""
        self.path.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raise an InputError if a folder, there or not, cannot be written to; leave nothing there."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with name_file_on_error(folder), TemporaryFile(dir=there):
        pass


def check_store(store: Path, folder: Path) -> None:
    """Raise an InputError if a store cannot be written, or would be among the videos."""
    if folder.resolve() in (store.resolve(), *store.resolve().parents):
        raise InputError(f'{store}: is in the folder of the videos: choose one beside it')
    check_writable(store)


def links_to_videos(out: Path, folder: Path, dataset: str) -> list[Path]:
    """Where the configs look for the videos; an InputError if something else is there."""
    names = ('videos_train', 'videos_val') if dataset == 'kinetics400' else ('videos',)
    links = [out / name for name in names if (out / name).resolve() != folder.resolve()]
    for link in links:
        if link.exists() and not link.is_symlink():
            raise InputError(f'{link}: is there and is not {folder}: move it away')
    return links


def link_videos(out: Path, folder: Path, dataset: str) -> None:
    """Link the folder of videos to where the configs of a dataset look for it."""
    with name_file_on_error(out):
        out.mkdir(parents=True, exist_ok=True)
    for link in links_to_videos(out, folder, dataset):
        with name_file_on_error(link):
            link.unlink(missing_ok=True)
            link.symlink_to(folder.resolve())

"""Annotation files for the configs, from the official ones and a folder of videos."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from tabulate import tabulate

from .._atomic import atomic_write, name_file_on_error
from .._errors import InputError
from .annotations import Video, read_annotations
from .video_checks import Checked, Task
from .video_facts import HEADER, VideoFacts, read_facts
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


class Benchmark:
    """The videos of a benchmark, as its official annotation files list them.

    Args:
        name: A name of :data:`~r21d_plugin.datasets.annotations.READERS`.
        annotations: The official files, or folders of them.
        folder: The folder of videos.
        out: The folder to write lists to.
        store: Whether the videos go into a store.
        cut: Whether only their annotated seconds do.
    """

    def __init__(
        self,
        name: str,
        annotations: Sequence[Path],
        folder: Path,
        out: Path,
        store: bool = False,
        cut: bool = False,
    ) -> None:
        self.name, self.annotations, self.folder = name, annotations, folder
        self.store, self.cut = store, cut
        self.index = index_videos(folder)
        self.files = AnnotationFiles(out, f'label_map_{name}.txt', [f'{name}_*_videos.tsv'])
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.classes: list[str] = []

    def _matches(self) -> Iterator[tuple[MatchedVideo, Task | None]]:
        """The videos in order, read anew: there may be more than fit into memory."""
        self.classes, videos = read_annotations(self.name, self.annotations)
        for match in match_videos(videos, self.index):
            yield match, task_of(match, self.store, self.cut)

    def tasks(self) -> dict[Task, None]:
        """What to check, each file once, in order."""
        return dict.fromkeys(task for _, task in self._matches() if task)

    def finish(self, checks: Mapping[Task, Checked]) -> None:
        """Fill the lists by the outcome of all tasks."""
        for match, task in self._matches():
            checked = checks[task] if task else Checked(Task(''))
            if checked.reason:
                match = broken(match, checked.reason)
            video, problem = match.video, match.problem
            self.counts[video.subset][problem or 'written'] += 1
            if problem:
                words = filter(None, (video.where, video.names[0], match.reason))
                self.files.add_problem(problem, ': '.join(words))
            else:
                name = video.subset if '_split_' in video.subset else f'{video.subset}_list'
                name = f'{self.name}_{name}_videos'  # as MMAction2 names them
                self.files.add(name, checked.task.path, video.labels, checked.facts)

    def report(self) -> str:
        """How many videos are in each list, and how many are not."""
        columns = ('written', *PROBLEMS)
        rows = [[name, *(count[c] for c in columns)] for name, count in self.counts.items()]
        return '\n'.join([tabulate(rows, ['subset', *columns]), *self.files.problems()])


class AnnotationFiles:
    """Lists, their tables, and the names of classes, which appear in a folder all at once.

    Args:
        out: The folder.
        label_map: Name of the file of the names of classes.
        replaced: Patterns of the names of what earlier runs wrote, to remove what this one does
            not write again.
    """

    def __init__(self, out: Path, label_map: str, replaced: Sequence[str]) -> None:
        self.out, self.label_map = out, label_map
        self.replaced = [*map('{}_videos.txt'.format, PROBLEMS), *replaced]
        self.lines: dict[str, list[str]] = defaultdict(list)

    def add(
        self, name: str, path: str, labels: Iterable[int], facts: VideoFacts | None = None
    ) -> None:
        """Add a video, and what is known of it, to the list of this name."""
        self.lines[f'{name}.txt'].append(' '.join([path, *map(str, labels)]))
        if facts:
            self.lines[f'{name}.tsv'].append(str(facts))

    def add_problem(self, problem: str, line: str) -> None:
        """Name a video that is in no list because of one of PROBLEMS."""
        self.lines[f'{problem}_videos.txt'].append(line)

    def problems(self) -> Iterator[str]:
        """Where the videos that are in no list are named."""
        for problem in PROBLEMS:
            if lines := self.lines.get(name := f'{problem}_videos.txt'):
                yield f'{problem} videos: see {self.out / name}, such as {lines[0]}'

    def earlier(self) -> list[Path]:
        """Files of earlier runs."""
        return [path for pattern in self.replaced for path in self.out.glob(pattern)]

    def write(self, classes: list[str]) -> None:
        """Write all files, and remove those of an earlier run that these do not replace."""
        files = {**self.lines, self.label_map: classes}
        with ExitStack() as written:
            for name, lines in files.items():
                lines = [HEADER, *lines] if name.endswith('.tsv') else lines
                partial = written.enter_context(atomic_write(self.out / name))
                partial.write_text(''.join(f'{line}\n' for line in lines), 'utf-8')
        for path in self.earlier():
            if path.name not in files:
                path.unlink()


class Journal:
    """What runs that were stopped found out, a line for each video: a table beside the lists."""

    def __init__(self, out: Path, dataset: str) -> None:
        self.path = out / f'.{dataset}_videos.partial.tsv'

    def read(self, earlier: Iterable[Path]) -> dict[str, VideoFacts]:
        """What is known by the tables among earlier files and by this journal, by paths."""
        tables = [path for path in (*earlier, self.path) if path.suffix == '.tsv' and path.exists()]
        return {facts.path: facts for table in tables for facts in read_facts(table)}

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


def check_apart(place: Path, folder: Path) -> None:
    """Raise an InputError if a place to write to is among the videos of a folder."""
    if folder.resolve() in (place.resolve(), *place.resolve().parents):
        raise InputError(f'{place}: is in the folder of the videos: choose one beside it')


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

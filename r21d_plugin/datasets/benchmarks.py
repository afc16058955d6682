"""The videos of the benchmarks: the official annotations, and the files in a folder."""

from __future__ import annotations

import os
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

from .._errors import InputError
from .annotation_files import PROBLEMS, AnnotationFiles, is_listable
from .annotations import Video, read_annotations
from .video_checks import Checked, Task
from .video_files import SUFFIXES, names_below


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
        args: ``dataset``, ``annotations``, ``videos`` (a folder), ``store`` and ``cut``.
        out: The folder to write lists to.
    """

    def __init__(self, args: Namespace, out: Path) -> None:
        self.args, self.folder = args, args.videos
        self.index = index_videos(self.folder)
        replaced = [f'{args.dataset}_*_videos.tsv']
        self.files = AnnotationFiles(out, f'label_map_{args.dataset}.txt', replaced)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.classes: list[str] = []

    def _matches(self) -> Iterator[tuple[MatchedVideo, Task | None]]:
        """The videos in order, read anew: there may be more than fit into memory."""
        self.classes, videos = read_annotations(self.args.dataset, self.args.annotations)
        for match in match_videos(videos, self.index):
            yield match, task_of(match, bool(self.args.store), self.args.cut)

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
                name = f'{self.args.dataset}_{name}_videos'  # as MMAction2 names them
                self.files.add(name, checked.task.path, video.labels, checked.facts)

    def report(self) -> str:
        """How many videos are in each list, and how many are not."""
        columns = ('written', *PROBLEMS)
        rows = [[name, *(count[c] for c in columns)] for name, count in self.counts.items()]
        return '\n'.join([tabulate(rows, ['subset', *columns]), *self.files.problems()])

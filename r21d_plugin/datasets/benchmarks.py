"""Prepare the videos of benchmarks: match official annotations with files in a folder."""

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
    path: str  # relative to the folder of videos; empty if there is no file
    problem: str = ''  # one of PROBLEMS, or empty
    reason: str = ''  # for a broken video: the file and the error


def index_videos(folder: Path) -> dict[str, str]:
    """Find all videos below a folder with any layout.

    Files without an extension are included, because annotations name the videos to use.

    Returns paths relative to the folder by name without extension, such as ``clip_1``. If several
    files have the same name, the key includes their folder, as in ``run/clip_1``. The path of a
    name that is still ambiguous is empty.
    """
    by_stem: dict[str, list[str]] = defaultdict(list)
    for path in sorted(names_below(folder, (*SUFFIXES, ''))):
        by_stem[os.path.splitext(os.path.basename(path))[0]].append(path)
    index: dict[str, str] = {}
    for stem, paths in by_stem.items():
        index[stem] = paths[0] if len(paths) == 1 else ''
        for path in paths if len(paths) > 1 else ():
            key = f'{os.path.basename(os.path.dirname(path))}/{stem}'
            index[key] = '' if key in index else path
    return index


def match_videos(videos: Iterable[Video], index: dict[str, str]) -> Iterator[MatchedVideo]:
    """Find the file of each video; a repetition in a list, with the same labels, is a duplicate.

    A file whose path cannot be written to a UTF-8 list is broken.
    """
    seen: dict[tuple[str, str], tuple[int, ...]] = {}
    for video in videos:
        key = (video.subset, video.names[0])
        labels = seen.get(key, video.labels)
        if labels != video.labels:
            before = f'labels {video.labels}, and {labels} before'
            raise InputError(f'{video.where}: {video.names[0]} has {before}')
        name = next((name for name in video.names if name in index), '')
        path = index.get(name, '')
        problem = 'duplicate' if key in seen else '' if path else 'broken' if name else 'missing'
        seen[key] = video.labels
        reason = f'several files have this name, {name}: keep one' if problem == 'broken' else ''
        match = MatchedVideo(video, path, problem, reason)
        why = 'its name is not UTF-8, or has a line break: rename it'
        yield match if is_listable(path) else broken(match, why)


def broken(match: MatchedVideo, why: str) -> MatchedVideo:
    """Mark a video as broken, unless it already has another problem."""
    path = match.path if is_listable(match.path) else ascii(match.path)
    return match if match.problem else match._replace(problem='broken', reason=f'{path}: {why}')


def task_of(match: MatchedVideo, store: bool, cut: bool) -> Task | None:
    """Return the task that checks a video; None if it already has a problem.

    With ``store``, the video is encoded into one; with ``cut``, only the annotated seconds of it if
    the file is the whole video.
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
    """The videos of a benchmark, listed by its official annotation files.

    ``args`` are those of ``tools/data/prepare.py``; lists are written to ``out``.
    """

    def __init__(self, args: Namespace, out: Path) -> None:
        self.args, self.folder = args, args.videos
        self.index = index_videos(self.folder)
        replaced = [f'{args.dataset}_*_videos.tsv']
        self.files = AnnotationFiles(out, f'label_map_{args.dataset}.txt', replaced)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.classes: list[str] = []

    def _matches(self) -> Iterator[tuple[MatchedVideo, Task | None]]:
        """Yield the videos in order; the files are read again, to keep memory use small."""
        self.classes, videos = read_annotations(self.args.dataset, self.args.annotations)
        for match in match_videos(videos, self.index):
            yield match, task_of(match, bool(self.args.store), self.args.cut)

    def tasks(self) -> dict[Task, None]:
        """Return the tasks that check the files, each file once, in order."""
        return dict.fromkeys(task for _, task in self._matches() if task)

    def finish(self, checks: Mapping[Task, Checked]) -> None:
        """Fill the lists with the results of all tasks."""
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
                name = f'{self.args.dataset}_{name}_videos'  # MMAction2's naming scheme
                self.files.add(name, checked.task.path, video.labels, checked.facts)

    def report(self) -> str:
        """Return a report with the numbers of listed and excluded videos."""
        columns = ('written', *PROBLEMS)
        rows = [[name, *(count[c] for c in columns)] for name, count in self.counts.items()]
        return '\n'.join([tabulate(rows, ['subset', *columns]), *self.files.problems()])

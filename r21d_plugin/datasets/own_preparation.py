"""Lists, tables and names of classes of one's own videos, in a folder that configs read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from .._errors import InputError
from .own_groups import Group, find_groups, hash_contents, mark_duplicates
from .own_sources import SPLITS, OwnVideo, Source
from .own_splits import split_groups
from .preparation import AnnotationFiles, MatchedVideo, task_of
from .text_files import quote, read_lines
from .video_checks import Checked, Task

CLASSES = 'classes.txt'


class OwnFiles(AnnotationFiles):
    """``train.txt``, ``val.txt`` and ``test.txt``, their tables, and ``classes.txt``."""

    @property
    def label_map(self) -> str:
        """Name of the file of the names of classes."""
        return CLASSES

    def list_name(self, subset: str) -> str:
        """Name of the list of a set, without extension."""
        return subset

    def problem_line(self, match: MatchedVideo) -> str:
        """Line that names a video with a problem."""
        return match.reason

    def old_tables(self, out: Path) -> list[str]:
        """Names of the tables of earlier runs."""
        return [f'{split}.tsv' for split in SPLITS if (out / f'{split}.tsv').exists()]

    def old_files(self, out: Path) -> list[str]:
        """Names of what earlier runs wrote, and a run may not write again."""
        return [*super().old_files(out), *(f'{split}.txt' for split in SPLITS)]


class Earlier(NamedTuple):
    """What the lists of an earlier run say.

    Attributes:
        splits: The set of each path.
        classes: Names of the classes, in order.
    """

    splits: dict[str, str]
    classes: list[str]

    @classmethod
    def read(cls, out: Path) -> Earlier:
        """Read it from the folder that the run wrote to."""
        lists = {split: out / f'{split}.txt' for split in SPLITS}
        splits = {
            line.rpartition(' ')[0]: split
            for split, path in lists.items()
            if path.exists()
            for line, _ in read_lines(path)
        }
        names = out / CLASSES
        return cls(splits, [name for name, _ in read_lines(names)] if names.exists() else [])

    def name_classes(self, labels: Iterable[str]) -> list[str]:
        """Put the classes in order: those of the earlier run first, then by name, or by number."""
        labels = set(labels)
        numbers = all(map(str.isdecimal, labels))
        new = sorted(labels - set(self.classes), key=lambda c: (int(c) if numbers else 0, c))
        return [*(name for name in self.classes if name in labels), *new]


class OwnPreparation:
    """The steps from a source to lists.

    Args:
        source: The videos.
        out: The folder to write to.
        shares: Parts of each class for ``'val'`` and ``'test'``.
        seed: Seed of the split.
        by_name: Whether videos of one source are told by their names, too.

    Attributes:
        tasks: What to check of each video that has no problem yet, in the order of the source.
        groups: The videos without a problem that must not be in two sets; after :meth:`split`.
        classes: Names of the classes; after :meth:`split`.
    """

    def __init__(
        self,
        source: Source,
        out: Path,
        shares: Mapping[str, float],
        seed: int = 0,
        by_name: bool = True,
    ) -> None:
        self.source, self.out, self.shares, self.seed = source, out, shares, seed
        self.videos = source.videos
        self.earlier = Earlier.read(out)
        self.by_name = by_name
        self.tasks: list[tuple[OwnVideo, Task]] = []
        self.contents: dict[str, str] = {}
        self.groups: list[Group] = []
        self.classes: list[str] = []

    def plan(self, store: bool, cut: bool) -> None:
        """Find duplicates and what there is to check; an InputError if the source is unusable.

        Args:
            store: Whether the videos go into a store.
            cut: Whether of those with ``seconds`` only these do.
        """
        check_seconds(self.videos, store and cut)
        tasks = [(video, task_of(video.match(), store, cut)) for video in self.videos]
        check_stored_names(task for _, task in tasks if task)
        self._recall({id(video): task.path for video, task in tasks if task})
        sound = [video for video in self.videos if not video.problem]
        self.contents = hash_contents(sound, self.source.folder)
        mark_duplicates(sound, self.contents, self.source.name)
        self.check_classes()
        self._split([replace(video) for video in self.videos])  # before the videos are opened
        self.tasks = [(video, task) for video, task in tasks if task and not video.problem]

    def _recall(self, listed: Mapping[int, str]) -> None:
        """Set the splits of the videos that lists of an earlier run have."""
        validated = any(video.split == 'val' for video in self.videos)
        if self.shares['val'] and not validated and any(video.given for video in self.videos):
            self.source.notes.append('no val videos are named: they are taken from train')
            for video in self.videos:
                if video.split == 'train':
                    video.split, video.given = '', False
        for video in self.videos:
            if not video.split:
                known = self.earlier.splits
                path = listed.get(id(video), video.path)
                video.split = known.get(path) or known.get(video.path) or ''

    def split(self, checks: Mapping[Task, Checked]) -> None:
        """Take over what a check of the videos found, and split those that decode.

        Raises:
            InputError: If a class is without a video to train, or there are none to validate.
        """
        for video, task in self.tasks:
            video.listed = task.path
            if task in checks:
                video.apply(checks[task])
        self.check_classes()
        self.classes = self.earlier.name_classes(video.label for video in self.videos)
        self.groups = self._split(self.videos)

    def _split(self, videos: Sequence[OwnVideo]) -> list[Group]:
        """Split those without a problem, and return their groups."""
        present = [video for video in videos if video.problem != 'missing']
        groups = find_groups(present, self.contents, self.by_name)
        groups = [[video for video in group if not video.problem] for group in groups]
        split_groups(groups, self.shares, self.seed)
        if self.shares['val'] and not any(v.split == 'val' for group in groups for v in group):
            one = 'each class has one video, or videos of one source alone'
            remedy = 'add videos, or --ungrouped if their names are alike by chance'
            raise InputError(f'{self.source.name}: nothing is left to validate: {one}: {remedy}')
        return groups

    def check_classes(self) -> None:
        """Raise an InputError if there are not two classes with videos to train."""
        labels = sorted({video.label for video in self.videos})
        if len(labels) < 2:
            remedy = 'give a folder with a folder for each class, two or more'
            raise InputError(f'{self.source.name}: one class, {quote(labels[0])}: {remedy}')
        sound = [video for video in self.videos if not video.problem]
        training = {video.label for video in sound if video.split in ('', 'train')}
        for label in (label for label in labels if label not in training):
            where = f'{self.source.name}: class {quote(label)}'
            usable = [video for video in sound if video.label == label]
            if not usable:
                reason = next(video.reason for video in self.videos if video.label == label)
                why = f'none of its videos can be used ({reason})'
                raise InputError(f'{where}: {why}: mend them, or remove the class')
            splits = ' and '.join(sorted({video.split for video in usable}))
            anew = '' if all(video.given for video in usable) else f', or remove {self.out}'
            raise InputError(f'{where}: all is in {splits}: move videos to train{anew}')

    def files(self) -> OwnFiles:
        """Make the files to write."""
        files = OwnFiles('folder')
        numbers = {name: number for number, name in enumerate(self.classes)}
        for video in self.videos:
            files.add(video.match(numbers[video.label]), video.facts)
        return files


def check_seconds(videos: Sequence[OwnVideo], cut: bool) -> None:
    """Raise an InputError if only parts of videos are annotated, and they are not cut out."""
    part = next((video for video in videos if video.seconds), None)
    if part is not None and not cut:
        remedy = 'cut these parts out with --store DIR --cut, or remove the columns'
        raise InputError(f'{part.where}: start and end need a store: {remedy}')


def check_stored_names(tasks: Iterable[Task]) -> None:
    """Raise an InputError if two videos would be the same file of a store."""
    seen: dict[str, Task] = {}
    for task in tasks:
        other = seen.setdefault(task.path, task)
        if other.source != task.source:
            same = f'the same file of the store, {task.path}'
            raise InputError(f'{other.source} and {task.source} would be {same}: rename one')


def check_place(out: Path, folder: Path) -> None:
    """Raise an InputError if the lists would be among the videos."""
    if folder.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f'{out}: is in the folder of the videos: choose one beside it with --out')

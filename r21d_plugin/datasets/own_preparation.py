"""Prepare the user's videos: split them, and write the lists that configs read."""

from __future__ import annotations

from argparse import Namespace
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .._errors import InputError, check_whole
from .annotation_files import AnnotationFiles
from .label_maps import NAMES_FILES
from .own_groups import Group, find_groups, hash_contents, mark_duplicates, split_groups
from .own_report import report
from .own_sources import SPLITS, OwnVideo, read_source
from .text_files import quote, read_lines, read_numbers
from .video_checks import Checked, Task


class OwnVideos:
    """The user's videos, which are split and listed in ``{train,val,test}.txt``.

    ``args`` are those of ``tools/data/prepare.py folder``; lists are written to ``out``. Sets and
    class numbers of existing lists are kept. Raises an InputError if the source is unusable, or an
    argument is invalid.
    """

    def __init__(self, args: Namespace, out: Path) -> None:
        check_arguments(args)
        self.args, self.out = args, out
        self.source = read_source(args.source, args.videos, args.numbers)
        self.folder, self.videos = self.source.folder, self.source.videos
        replaced = [f'{split}.{suffix}' for split in SPLITS for suffix in ('txt', 'tsv')]
        names_file = NAMES_FILES[self.source.targets]
        self.files = AnnotationFiles(out, names_file, [*replaced, *NAMES_FILES.values()])
        self.old_classes = lines_of(out / names_file)
        self.classes: list[str] = []  # names of the classes, labels or numbers; set by finish
        self.groups: list[Group] = []  # videos without a problem, each group in one set; likewise

        check_seconds(self.videos, args.store and args.cut)
        for video in self.videos if args.store else ():
            video.store()
        check_stored_names(self.videos)
        self._keep_splits()
        sound = self.sound()
        self.contents = hash_contents(sound, self.folder)
        mark_duplicates(sound, self.contents, self.source.name)
        self._check_classes()
        self._split([replace(video) for video in self.videos])  # fail before videos are opened

    def sound(self) -> list[OwnVideo]:
        """Return the videos without a problem, which are listed."""
        return [video for video in self.videos if not video.problem]

    def tasks(self) -> dict[Task, None]:
        """Return the tasks that check the videos, in the order of the source."""
        return dict.fromkeys(video.task for video in self.sound())

    def finish(self, checks: Mapping[Task, Checked]) -> None:
        """Split the videos that passed the checks, and fill the lists.

        Raises an InputError if a class has no training video, or no video is left to validate.
        """
        for video in self.sound():
            checked = checks[video.task]
            video.facts = checked.facts
            if checked.reason:
                video.mark('broken', f'{video.place}: {checked.reason}')
        self._check_classes()
        self._note_kept_sets()
        self.groups = self._split(self.videos)
        self.classes = self._names()
        indices = {name: index for index, name in enumerate(self.classes)}
        for video in self.videos:
            if video.problem:
                self.files.add_problem(video.problem, video.reason)
                continue
            targets: Sequence[object] = video.values
            if self.source.targets != 'numbers':
                targets = sorted(indices[name] for name in video.labels) or ['-']
            self.files.add(video.split, video.task.path, targets, video.facts)

    def report(self) -> str:
        """Return a report with the numbers of videos by class and set, and warnings."""
        return report(self)

    def _names(self) -> list[str]:
        """Return the names of numbers, classes or labels; names of earlier lists come first."""
        if self.source.targets == 'numbers':
            return [*self.source.numbers]
        names = {name for video in self.sound() for name in video.labels}
        new = sorted(names)
        if (values := read_numbers(new)) is not None:
            new = [name for _, name in sorted(zip(values, new))]
        old = [name for name in self.old_classes if name in names]
        return [*old, *(name for name in new if name not in old)]

    def _keep_splits(self) -> None:
        """Set the splits of videos that are in lists of an earlier run."""
        validated = any(video.split == 'val' for video in self.videos)
        if self.args.val and not validated and any(video.given for video in self.videos):
            self.source.notes.append('no val videos are named: they are taken from train')
            for video in self.videos:
                if video.split == 'train':
                    video.split, video.given = '', False
        paths = {path for video in self.videos for path in (video.path, video.task.path)}
        known = {
            path_of(line, paths): split
            for split in SPLITS
            for line in lines_of(self.out / f'{split}.txt')
        }
        for video in self.videos:
            video.split = video.split or known.get(video.task.path) or known.get(video.path, '')

    def _note_kept_sets(self) -> None:
        """Note that there is no test set if earlier lists have all videos."""
        videos = self.sound()
        sets = {video.split for video in videos}
        given = all(video.given for video in videos)
        if self.args.test and not given and not sets & {'', 'test'}:
            kept = f'the sets of {self.out} are kept: remove it to split anew'
            self.source.notes.append(f'no test videos: {kept}')

    def _split(self, videos: Sequence[OwnVideo]) -> list[Group]:
        """Split the videos without a problem, and return their groups."""
        present = [video for video in videos if video.problem != 'missing']
        groups = find_groups(present, self.contents, not self.args.ungrouped)
        groups = [[video for video in group if not video.problem] for group in groups]
        split_groups(groups, dict(val=self.args.val, test=self.args.test), self.args.seed)
        if self.args.val and not any(v.split == 'val' for group in groups for v in group):
            one = 'each class has one video, or videos of one source alone'
            if self.source.targets != 'class':
                one = 'there is one video, or videos of one source alone'
            remedy = 'add videos, or --ungrouped if their names are alike by chance'
            raise InputError(f'{self.source.name}: nothing is left to validate: {one}: {remedy}')
        return groups

    def _check_classes(self) -> None:
        """Raise an InputError if fewer than two classes can be trained, or no label is set."""
        if self.source.targets != 'class':
            usable = self.sound()
            if not any(video.split in ('', 'train') for video in usable):
                raise InputError(f'{self.source.name}: no video is left to train: add some')
            if not any(video.values for video in usable):
                raise InputError(f'{self.source.name}: no video has a label: fill in labels')
            return
        by_label: dict[str, list[OwnVideo]] = defaultdict(list)
        for video in self.videos:
            by_label[video.label].append(video)
        if len(by_label) < 2:
            remedy = 'give a folder with a folder for each class, two or more'
            raise InputError(f'{self.source.name}: one class, {quote(min(by_label))}: {remedy}')
        for label, videos in sorted(by_label.items()):
            usable = [video for video in videos if not video.problem]
            splits = sorted({video.split for video in usable})
            where = f'{self.source.name}: class {quote(label)}'
            if not usable:
                why = f'none of its videos can be used ({videos[0].reason})'
                raise InputError(f'{where}: {why}: repair them, or remove the class')
            if not {'', 'train'} & {*splits}:
                anew = '' if all(video.given for video in usable) else f', or remove {self.out}'
                all_is = f'all videos are in {" and ".join(splits)}'
                raise InputError(f'{where}: {all_is}: move videos to train{anew}')


def check_arguments(args: Namespace) -> None:
    """Raise an InputError if a number is out of range."""
    check_whole('--clip-len', args.clip_len)
    if args.val < 0 or args.test < 0 or not args.val + args.test < 1:
        problem = 'use parts of the videos, from 0 to below 1 together'
        raise InputError(f'--val={args.val:g} and --test={args.test:g}: {problem}')


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file of an earlier run, if it exists."""
    return [line for line, _ in read_lines(path)] if path.exists() else []


def path_of(line: str, paths: Container[str]) -> str:
    """Return the path of a set of paths that begins a line of a list; empty if there is none."""
    while line and line not in paths:
        line = line.rpartition(' ')[0]
    return line


def check_seconds(videos: Sequence[OwnVideo], cut: bool) -> None:
    """Raise an InputError if parts of videos are annotated but not cut out."""
    part = next((video for video in videos if video.seconds), None)
    if part is not None and not cut:
        remedy = 'cut these parts out with --store DIR --cut, or remove the columns'
        raise InputError(f'{part.where}: start and end need a store: {remedy}')


def check_stored_names(videos: Sequence[OwnVideo]) -> None:
    """Raise an InputError if two videos would be stored in the same file."""
    seen: dict[str, Task] = {}
    for task in (video.task for video in videos if not video.problem):
        other = seen.setdefault(task.path, task)
        if other.source != task.source:
            same = f'the same file of the store, {task.path}'
            raise InputError(f'{other.source} and {task.source} would be {same}: rename one')

"""Find the user's videos and labels in a folder of classes, or in a CSV or TSV file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from .._errors import InputError
from .annotation_files import is_listable
from .text_files import quote, read_number, read_table
from .video_checks import Task
from .video_facts import VideoFacts
from .video_files import names_below

SPLITS = ('train', 'val', 'test')
SPLIT_NAMES = {
    **dict.fromkeys(('train', 'training'), 'train'),
    **dict.fromkeys(('val', 'valid', 'validate', 'validation'), 'val'),
    **dict.fromkeys(('test', 'testing'), 'test'),
}
COLUMNS = ('path', 'split', 'group', 'start', 'end')
NOT_LISTABLE = 'its name is not UTF-8, has a line break, or begins or ends with a blank: rename it'


@dataclass
class OwnVideo:
    """A video, its labels, and the result of its preparation."""

    path: str  # relative to the folder of videos
    label: str  # the class; empty where videos have labels or numbers
    split: str = ''  # one of SPLITS; empty until it is assigned
    group: str = ''  # videos of one group must be in one split; empty if the source names none
    seconds: tuple[float, float] | None = None  # begin and end of the annotated part; None for all
    where: str = ''  # file and line that name the video; empty for a folder
    given: bool = False  # whether the split comes from the source, not from an earlier run
    problem: str = ''  # one of PROBLEMS, or empty
    reason: str = ''  # description of the problem
    stored: str = ''  # path of its file in a store; empty if there is none
    facts: VideoFacts | None = None  # facts from the check
    values: tuple[str, ...] = ()  # labels or numbers

    def __str__(self) -> str:
        return self.path if is_listable(self.path) else ascii(self.path)

    @property
    def labels(self) -> tuple[str, ...]:
        """The class, labels or numbers of the video."""
        return (self.label,) if self.label else self.values

    @property
    def place(self) -> str:
        """The path, preceded by the line of the table."""
        return f'{self.where}: {self}' if self.where else str(self)

    @property
    def task(self) -> Task:
        """The task that checks the video."""
        return Task(self.path, self.stored, self.seconds)

    def store(self) -> None:
        """Assign a file in the store; each annotated part of a video has its own file."""
        part = '_{:.3f}_{:.3f}'.format(*self.seconds) if self.seconds else ''
        self.stored = f'{os.path.splitext(self.path)[0]}{part}.mp4'

    def mark(self, problem: str, reason: str) -> None:
        """Exclude the video with a problem and a reason, unless it already has a problem."""
        if not self.problem:
            self.problem, self.reason = problem, reason


@dataclass
class Source:
    """The videos of a folder or a table."""

    name: str  # the folder or table, for messages
    folder: Path  # paths of the videos are relative to it
    videos: list[OwnVideo]  # sorted by path
    notes: list[str] = field(default_factory=list)  # notes for the user about how it was read
    targets: str = 'class'  # kind of targets: 'class', 'labels' or 'numbers'
    numbers: Sequence[str] = ()  # names of the numbers


def read_source(path: Path, videos: Path | None = None, numbers: Sequence[str] = ()) -> Source:
    """Find the videos of ``CLASS/...``, ``{train,val,test}/CLASS/...``, or a CSV or TSV file.

    Paths in the file are relative to the folder ``videos``, by default its own. Its columns
    ``numbers`` have the numbers of a video; without them, videos have a class or labels. Raises an
    InputError if there is no video, or a folder or line is ambiguous or invalid.
    """
    if path.is_dir():
        for option, value in (('--videos', videos), ('--numbers', ','.join(numbers))):
            if value:
                problem = 'it goes with a CSV or TSV file, not with a folder'
                raise InputError(f'{option}={value}: {problem}')
        source = Source(str(path), path, list(videos_of_folder(path)))
    elif path.suffix.lower() in ('.csv', '.tsv'):
        source = videos_of_table(path, videos or path.parent, numbers)
    else:
        raise InputError(
            f'{path}: no such folder: give a folder of classes, or a .csv or .tsv file'
        )
    if not source.videos:
        raise InputError(f'{path}: no videos in it')
    for video in source.videos:
        if not is_listable(video.path) or video.path != video.path.strip():
            video.mark('broken', f'{video.place}: {NOT_LISTABLE}')
    source.videos.sort(key=lambda video: (video.path, video.seconds or (0, 0)))
    return source


def videos_of_folder(folder: Path) -> Iterator[OwnVideo]:
    """Find the videos in folders named after classes, which may be in folders named after splits.

    Hidden files and folders, such as macOS's ``._clip.mp4``, are skipped.
    """
    parts = [name.split(os.sep) for name in names_below(folder)]
    parts = [part for part in parts if not any(name.startswith('.') for name in part)]
    in_sets = any(len(part) > 2 and part[0].lower() in SPLIT_NAMES for part in parts)
    for part in parts:
        name = os.path.join(*part)
        split = SPLIT_NAMES.get(part[0].lower(), '') if in_sets else ''
        if in_sets and not split:
            problem = 'is beside folders named train, val or test, and in none of them'
            raise InputError(f'{folder}/{name}: {problem}: move it into one')
        *label, _ = part[in_sets:]
        if not label:
            raise InputError(f'{folder}/{name}: is in no class folder: move it into one')
        yield OwnVideo(name, label[0].strip(), split, given=in_sets)


def videos_of_table(path: Path, folder: Path, numbers: Sequence[str]) -> Source:
    """Read a CSV or TSV file whose first line names the columns.

    Columns are those of COLUMNS, ``label`` or ``labels``, and the columns of numbers. Only ``path``
    is required: without ``label``, the class is the name of the folder of a video.
    """
    columns = [name.lower() for name in numbers]
    if len({*columns}) < len(columns):
        raise InputError(f'--numbers={",".join(numbers)}: name each column once')
    rows = [*read_table(path, ['path', *columns])]
    given = [name for row, _ in rows[:1] for name in row]
    if not columns and {'label', 'labels'} <= {*given}:
        raise InputError(f'{path}, line 1: columns label and labels: leave one')
    targets = 'numbers' if columns else 'labels' if 'labels' in given else 'class'
    videos = [video_of_row(row, where, folder, numbers) for row, where in rows]
    used = {*COLUMNS, *(columns or ('label', 'labels'))}
    unused = [name for name in given if name not in used]
    notes = [f'columns that are not used: {", ".join(map(quote, unused))}'] if unused else []
    for video in videos:
        if is_listable(video.path) and not os.path.lexists(folder / video.path):
            video.mark('missing', video.place)
    if videos and all(video.problem == 'missing' for video in videos):
        found = f'none of its {len(videos)} videos is in {folder}, such as {quote(videos[0].path)}'
        raise InputError(f'{path}: {found}: name the folder with --videos')
    return Source(str(path), folder, videos, notes, targets, numbers)


def video_of_row(row: dict[str, str], where: str, folder: Path, numbers: Sequence[str]) -> OwnVideo:
    """Read a row; raise an InputError if a value is invalid."""
    if not row['path']:
        raise InputError(f'{where}: no path')
    path = os.path.relpath(folder / row['path'], folder)
    if path.split(os.sep)[0] == os.pardir:
        raise InputError(f'{where}: {quote(row["path"])} is not below {folder}: give --videos')
    label = ''
    values: tuple[str, ...] = ()
    if numbers:
        values = tuple(number_of(row, name, where) for name in numbers)
    elif 'labels' in row:
        values = tuple(sorted({*map(str.strip, row['labels'].split(';'))} - {''}))
    else:
        label = row['label'] if 'label' in row else os.path.basename(os.path.dirname(path))
        if not label:
            raise InputError(f'{where}: no label: name the class of {quote(path)}')
    for name in (label, *values):
        if not is_listable(name):
            raise InputError(f'{where}: the label {quote(name)} has a line break: rename it')
    split = row.get('split', '')
    if split and split.lower() not in SPLIT_NAMES:
        raise InputError(
            f'{where}: split {quote(split)}: use train, val or test, or leave it empty'
        )
    return OwnVideo(
        path,
        label,
        SPLIT_NAMES.get(split.lower(), ''),
        row.get('group', ''),
        seconds_of(row, where),
        where,
        given=bool(split),
        values=values,
    )


def number_of(row: dict[str, str], name: str, where: str) -> str:
    """Read a number in Python's notation; raise an InputError if it is invalid."""
    value = row[name.lower()]
    if (number := read_number(value)) is None:
        raise InputError(f'{where}: {name} is {quote(value)}, not a number: correct it')
    return str(number)


def seconds_of(row: dict[str, str], where: str) -> tuple[float, float] | None:
    """Read ``start`` and ``end``, one of which may be empty; None if both are empty."""
    start, end = row.get('start', ''), row.get('end', '')
    if not start and not end:
        return None
    try:
        seconds = float(start or 0), float(end or inf)
    except ValueError:
        seconds = (inf, inf)
    if not 0 <= seconds[0] < seconds[1]:
        found = f'start {quote(start)} and end {quote(end)}'
        raise InputError(f'{where}: {found}: give seconds, the end after the start')
    return seconds

"""Group videos that come from the same source, and split the groups into sets."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import floor
from pathlib import Path
from typing import Any, List, Tuple

from .._errors import InputError
from .own_sources import SPLITS, OwnVideo
from .text_files import quote

Group = List[OwnVideo]
Key = Tuple[str, str]  # kind of the key, and its value

PART = re.compile(
    r'(?P<source>.*?[^\W_][-_]*?)'  # names of YouTube may end in - or _
    r'(?:[ _.-]+(?:c|clip|seg|segment|part|pt|chunk|scene|shot|cut)[ _.-]?\d+'  # a_c01
    r'|-\d{3,}'  # a-00012, as written by FFmpeg and scene detectors
    r'|_\d{6}_\d{6})',  # a_000010_000020, as in Kinetics
    re.IGNORECASE,
)
"""Pattern of the names of parts of a video, without extension."""


def source_name(path: str, label: str = '') -> str:
    """Return the name of the video that a file is a part of, without the number of the part.

    The name is empty if the file is not named like a part, or if only the class name is left
    (``walk_c01`` of ``walk``).
    """
    source, stem = '', os.path.splitext(os.path.basename(path))[0]
    while match := PART.fullmatch(source or stem):
        source = match['source']
    return '' if letters(source) == letters(label) else source


def letters(name: str) -> str:
    """Return the letters and digits of a name in lower case."""
    return ''.join(filter(str.isalnum, name.casefold()))


def find_groups(
    videos: Sequence[OwnVideo], contents: Mapping[str, str], by_name: bool = True
) -> list[Group]:
    """Group the videos that must be in the same split.

    A group has the videos with the same ``group`` or, without it and ``by_name``, the same source
    (:func:`source_name`), and videos with the same content (:func:`hash_contents`).
    """
    parents: dict[Key, Key] = {}  # union-find forest: for each key, another key of its group

    def root(key: Key) -> Key:
        while (parent := parents.setdefault(key, key)) != key:
            parents[key] = key = parents[parent]
        return key

    groups: dict[Key, Group] = defaultdict(list)
    for video in videos:
        source = source_name(video.path, video.label) if by_name else ''
        group = ('group', video.group) if video.group else ('name', source)
        for key in (group, ('content', contents.get(video.path, ''))):
            if key[1]:
                parents[root(key)] = root(('path', video.path))
    for video in videos:
        groups[root(('path', video.path))].append(video)
    return list(groups.values())


def hash_contents(videos: Iterable[OwnVideo], folder: Path) -> dict[str, str]:
    """Hash files of equal size, by path; skip unreadable files, which the check reports."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in dict.fromkeys(video.path for video in videos):
        with suppress(OSError):
            by_size[(folder / path).stat().st_size].append(path)
    hashes = {}
    for path in (path for paths in by_size.values() if len(paths) > 1 for path in paths):
        with suppress(OSError):
            hashes[path] = hash_file(folder / path)
    return hashes


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def mark_duplicates(videos: Iterable[OwnVideo], contents: Mapping[str, str], name: str) -> None:
    """Mark all but one of the videos with the same content and annotated part as duplicates.

    A video of a test or validation set is preferred, then one of a training set, then a new one.
    Raises an InputError if copies of a video differ in their class, labels or numbers.
    """
    same: dict[tuple[Any, ...], Group] = defaultdict(list)
    for video in videos:
        if not video.problem:
            same[contents.get(video.path, video.path), video.seconds].append(video)
    for copies in same.values():
        other = next((video for video in copies if video.labels != copies[0].labels), None)
        if other is not None:
            raise InputError(f'{name}: {labelled_twice(copies[0], other)}')
        kept = max(copies, key=lambda video: ('', *SPLITS).index(video.split))
        for video in copies:
            if video is not kept:
                video.mark('duplicate', f'{video.place}: the same as {kept}')


def labelled_twice(one: OwnVideo, other: OwnVideo) -> str:
    """Describe a video with two different labels."""
    labels = ' and '.join(quote(';'.join(video.labels)) for video in (one, other))
    if one.path == other.path:
        places = f' ({one.where}; {other.where})' if one.where else ''
        return f'{one} is labelled {labels}{places}: keep one'
    return f'{one} and {other} are the same video, labelled {labels}: keep one'


def split_groups(groups: Sequence[Group], shares: Mapping[str, float], seed: int) -> None:
    """Assign one of SPLITS to each video without a split; a group stays in one split.

    Videos that have a split keep it, and the rest of their group joins them. For each class, the
    groups with the smallest hashes are held out until the share of the class is reached: at least
    one group if the class has two, and never all groups. The same files and seed give the same
    split on any machine. Videos with labels or numbers count as one class. ``shares`` are the
    fractions for ``'val'`` and ``'test'``.
    """
    for group in groups:
        taken = Counter(video.split for video in group if video.split)
        if taken:
            set_split(group, max(SPLITS, key=lambda split: taken[split]))
    ordered = sorted(filter(None, groups), key=lambda group: hash_of(group, seed))
    for split in ('val', 'test'):  # with three videos, validation gets one before the test does
        if shares[split]:
            hold_out(split, shares[split], ordered)
    for group in groups:
        set_split(group, 'train')


def set_split(group: Group, split: str) -> None:
    """Set the split of the videos that have none."""
    for video in group:
        video.split = video.split or split


def hash_of(group: Group, seed: int) -> str:
    """Return the sort key of a group: a hash of its first path."""
    first = min(video.path for video in group)
    return hashlib.sha256(f'{seed} {first}'.encode('utf-8', 'surrogateescape')).hexdigest()


def hold_out(split: str, share: float, groups: Sequence[Group]) -> None:
    """Hold out groups without a split, in order, until each class has its share in a set.

    A group is held out if more than half of it is needed. Then, for each class without a video in
    the set, its smallest group is held out. Every class keeps a training video.
    """
    videos = [video for group in groups for video in group]
    number = Counter(video.label for video in videos)
    held = Counter(video.label for video in videos if video.split == split)
    training = Counter(video.label for video in videos if video.split in ('', 'train'))
    wanted = {label: max(1, floor(n * share + 0.5)) for label, n in number.items()}

    def fill(group: Group, smallest: bool) -> None:
        labels = Counter(video.label for video in group)
        if smallest:
            needed = any(not held[label] for label in labels)
        else:
            missing = (min(n, wanted[label] - held[label]) for label, n in labels.items())
            needed = 2 * sum(max(0, n) for n in missing) > len(group)
        if needed and all(training[label] > n for label, n in labels.items()):
            set_split(group, split)
            held.update(labels)
            training.subtract(labels)

    for smallest in (False, True):
        for group in sorted(groups, key=len) if smallest else groups:
            if not group[0].split:
                fill(group, smallest)

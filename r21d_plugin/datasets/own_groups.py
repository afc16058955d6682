"""Find the videos that come from one source, and split sources into sets."""

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
Key = Tuple[str, str]  # of what, and its value

PART = re.compile(
    r'(?P<source>.*?[^\W_])'
    r'(?:[ _.-]+(?:c|clip|seg|segment|part|pt|chunk|scene|shot|cut)[ _.-]?\d+'  # a_c01
    r'|-\d{3,}'  # a-00012, as FFmpeg and scene detectors write
    r'|_\d{6}_\d{6})',  # a_000010_000020, as of Kinetics
    re.IGNORECASE,
)
"""Names of the parts of a video, without extension."""


def source_name(path: str, label: str = '') -> str:
    """Name of the video that a file is a part of, before the number of the part.

    Empty if the name of the file tells none, or only the name of its class (``walk_c01`` of
    ``walk``).
    """
    source, stem = '', os.path.splitext(os.path.basename(path))[0]
    while match := PART.fullmatch(source or stem):
        source = match['source']
    return '' if letters(source) == letters(label) else source


def letters(name: str) -> str:
    """Letters and digits of a name, in lower case."""
    return ''.join(filter(str.isalnum, name.casefold()))


def find_groups(
    videos: Sequence[OwnVideo], contents: Mapping[str, str], by_name: bool = True
) -> list[Group]:
    """Put together what must not be in two splits.

    That are videos of one ``group``, or without one, of one source (:func:`source_name`); and those
    of one content.

    Args:
        videos: The videos.
        contents: Hashes of their contents, by paths, as far as known (:func:`hash_contents`).
        by_name: Whether names tell sources. Defaults to True.
    """
    parents: dict[Key, Key] = {}  # of each key, another one that it is joined with

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
    """Hash the files of equal size, by paths; the check of videos names what cannot be read."""
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
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def mark_duplicates(videos: Iterable[OwnVideo], contents: Mapping[str, str], name: str) -> None:
    """Leave out all but one of the videos that are the same, and the same part of it.

    One of a test or validation set stays, else one of a training set, before a new one.

    Args:
        videos: The videos; ``split`` is as the source or earlier lists say.
        contents: As :func:`find_groups` takes them.
        name: The source, for messages.

    Raises:
        InputError: If a video has two classes, or other labels or numbers.
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
    """Say that a video is labelled in two ways."""
    labels = ' and '.join(quote(';'.join(video.labels)) for video in (one, other))
    if one.path == other.path:
        places = f' ({one.where}; {other.where})' if one.where else ''
        return f'{one} is labelled {labels}{places}: keep one'
    return f'{one} and {other} are the same video, labelled {labels}: keep one'


def split_groups(groups: Sequence[Group], shares: Mapping[str, float], seed: int) -> None:
    """Give each video that has no split one of SPLITS: its whole group the same.

    Videos that have a split keep it, and take the rest of their group along. Of each class, the
    groups whose hashes are the smallest are held out, until the classes have their share; one at
    least, where there are two groups of a class, and never all. The same files and seed give the
    same split anywhere. Videos with labels or numbers count as one class.

    Args:
        groups: The videos; this sets their ``split``.
        shares: Parts of the videos of each class for ``'val'`` and ``'test'``.
        seed: What the hashes begin with.
    """
    for group in groups:
        taken = Counter(video.split for video in group if video.split)
        if taken:
            set_split(group, max(SPLITS, key=lambda split: taken[split]))
    ordered = sorted(filter(None, groups), key=lambda group: hash_of(group, seed))
    for split in ('val', 'test'):  # of three videos, one validates before one tests
        if shares[split]:
            hold_out(split, shares[split], ordered)
    for group in groups:
        set_split(group, 'train')


def set_split(group: Group, split: str) -> None:
    """Set the split of those that have none."""
    for video in group:
        video.split = video.split or split


def hash_of(group: Group, seed: int) -> str:
    """What groups are ordered by: a hash of the first path."""
    first = min(video.path for video in group)
    return hashlib.sha256(f'{seed} {first}'.encode('utf-8', 'surrogateescape')).hexdigest()


def hold_out(split: str, share: float, groups: Sequence[Group]) -> None:
    """Hold groups without a split out, in order, until each class has its share in a set.

    A group is held out if more than half of it is needed; then, for classes with nothing in the
    set, the smallest one. The classes keep a video to train.
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

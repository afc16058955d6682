"""Report on the preparation of the user's videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from tabulate import tabulate

from .annotation_files import PROBLEMS
from .own_groups import Group, source_name
from .own_sources import SPLITS

if TYPE_CHECKING:
    from .own_preparation import OwnVideos

FEW = 5  # warn about classes with fewer videos
NOUNS = {'class': 'classes', 'labels': 'labels', 'numbers': 'columns'}


def report(prepared: OwnVideos) -> str:
    """Format the counts of each class and set, notes and warnings, after ``finish``."""
    lines = [*prepared.source.notes, *grouped(prepared), *prepared.files.problems()]
    lines += [*short(prepared), *(f'warning: {line}' for line in warnings(prepared))]
    return '\n'.join([table(prepared), *lines])


def table(prepared: OwnVideos) -> str:
    """Format the numbers of videos by class or label, set and problem, or facts about numbers."""
    targets = prepared.source.targets
    total = Counter(video.problem or video.split for video in prepared.videos)
    columns = [name for name in (*SPLITS, *PROBLEMS) if total[name]]
    if targets == 'numbers':
        counts = tabulate([['videos', *(total[name] for name in columns)]], ['', *columns])
        return f'{counts}\n\n{numbers_table(prepared)}'
    by_name: dict[str, Counter[str]] = {name: Counter() for name in prepared.classes}
    for video in prepared.videos:
        for name in video.labels or ('(none)',):
            by_name.setdefault(name, Counter())[video.problem or video.split] += 1
    rows = [[name, *(count[c] for c in columns)] for name, count in by_name.items()]
    last = f'{len(prepared.classes)} {NOUNS[targets]}'
    rows.append([last, *(total[name] for name in columns)])
    header = ['label' if targets == 'labels' else 'class', *columns]
    return tabulate(rows, header, disable_numparse=[0])


def numbers_table(prepared: OwnVideos) -> str:
    """Format mean, deviation and range of each number by set."""
    rows, sound = [], prepared.sound()
    for index, name in enumerate(prepared.classes):
        for split in SPLITS:
            if values := [float(video.values[index]) for video in sound if video.split == split]:
                facts = (np.mean(values), np.std(values), min(values), max(values))
                rows.append([name, split, len(values), *facts])
    header = ['number', 'set', 'videos', 'mean', 'deviation', 'least', 'most']
    return tabulate(rows, header, floatfmt='.4g', disable_numparse=[0])


def grouped(prepared: OwnVideos) -> Iterator[str]:
    """Yield lines about groups of videos that are kept in one set, by reason."""
    kinds: dict[str, list[Group]] = {}
    for group in prepared.groups:
        if len(group) > 1:
            kinds.setdefault(reason_of(group, prepared), []).append(group)
    for reason, groups in kinds.items():
        count = f'{sum(map(len, groups))} videos of {len(groups)} source(s)'
        yield f'kept together, by {reason}: {count}, such as {some(max(groups, key=len))}'


def reason_of(group: Group, prepared: OwnVideos) -> str:
    """Return the reason why videos belong together."""
    if any(video.group for video in group):
        return 'the column group'
    if not prepared.args.ungrouped and any(source_name(video.path, video.label) for video in group):
        return 'name'
    return 'file' if len({video.path for video in group}) < len(group) else 'content'


def short(prepared: OwnVideos) -> Iterator[str]:
    """Yield a line about videos with fewer frames than a clip."""
    clip_len = prepared.args.clip_len
    videos = [v for v in prepared.sound() if v.facts and v.facts.frames < clip_len]
    if videos:
        found = f'{len(videos)} video(s), such as {some(videos)}'
        yield f'shorter than a clip of {clip_len} frames, so frames are repeated: {found}'


def warnings(prepared: OwnVideos) -> Iterator[str]:
    """Yield warnings about data that make results unreliable."""
    noun = NOUNS[prepared.source.targets]
    if prepared.source.targets != 'numbers':
        yield from warnings_of_names(prepared, noun)
    leaks = [group for group in prepared.groups if len({video.split for video in group}) > 1]
    if leaks:
        first = {video.split: video for video in leaks[0]}
        example = ' and '.join(f'{video} ({split})' for split, video in first.items())
        given = any(video.given for group in leaks for video in group)
        remedy = 'put each into one' if given else f'remove {prepared.out} to split anew'
        found = f'{len(leaks)} source(s), such as {example}'
        yield f'in several sets: {found}: accuracy will look too high: {remedy}'
    gone = [name for name in prepared.old_classes if name not in prepared.classes]
    if gone:
        yield f'{noun} are gone: {some(gone)}: class numbers changed, so old checkpoints do not fit'


def warnings_of_names(prepared: OwnVideos, noun: str) -> Iterator[str]:
    """Yield warnings about classes or labels (``noun``) with few videos, or none in a set."""
    sound = prepared.sound()
    count = Counter(name for video in sound for name in video.labels)
    few = [f'{name} ({count[name]})' for name in prepared.classes if count[name] < FEW]
    if few:
        yield f'{noun} with under {FEW} videos: {some(few)}'
    for split in SPLITS:
        videos = [video for video in sound if video.split == split]
        there = {name for video in videos for name in video.labels}
        if videos and len(there) < len(prepared.classes):
            lacking = [name for name in prepared.classes if name not in there]
            yield f'{noun} without a {split} video: {some(lacking)}: add videos of other sources'


def some(items: Sequence[object], most: int = 3) -> str:
    """Format the first items and the number of the others."""
    more = f' and {len(items) - most} more' if len(items) > most else ''
    return ', '.join(map(str, items[:most])) + more

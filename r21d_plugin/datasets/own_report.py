"""What a user is told of the preparation of own videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tabulate import tabulate

from .annotation_files import PROBLEMS
from .own_groups import Group, source_name
from .own_sources import SPLITS

if TYPE_CHECKING:
    from .own_preparation import OwnVideos

FEW = 5  # videos of a class: with fewer, a warning


def report(prepared: OwnVideos) -> str:
    """Counts of each class and set, and what to look at.

    Args:
        prepared: After :meth:`~r21d_plugin.datasets.own_preparation.OwnVideos.finish`.
    """
    lines = [*prepared.source.notes, *grouped(prepared), *prepared.files.problems()]
    lines += [*short(prepared), *(f'warning: {line}' for line in warnings(prepared))]
    return '\n'.join([table(prepared), *lines])


def table(prepared: OwnVideos) -> str:
    """Numbers of the videos of each class, by set and by problem."""
    counts: dict[str, Counter[str]] = {label: Counter() for label in prepared.classes}
    for video in prepared.videos:
        counts[video.label][video.problem or video.split] += 1
    total = sum(counts.values(), Counter())
    columns = [name for name in (*SPLITS, *PROBLEMS) if total[name]]
    rows = [[label, *(count[name] for name in columns)] for label, count in counts.items()]
    rows.append([f'{len(counts)} classes', *(total[name] for name in columns)])
    return tabulate(rows, ['class', *columns], disable_numparse=[0])


def grouped(prepared: OwnVideos) -> Iterator[str]:
    """What is kept together, by what tells it."""
    kinds: dict[str, list[Group]] = {}
    for group in prepared.groups:
        if len(group) > 1:
            kinds.setdefault(reason_of(group, prepared), []).append(group)
    for reason, groups in kinds.items():
        count = f'{sum(map(len, groups))} videos of {len(groups)} source(s)'
        yield f'kept together, by {reason}: {count}, such as {some(max(groups, key=len))}'


def reason_of(group: Group, prepared: OwnVideos) -> str:
    """What tells that videos belong together."""
    if any(video.group for video in group):
        return 'the column group'
    if not prepared.args.ungrouped and any(source_name(video.path, video.label) for video in group):
        return 'name'
    return 'file' if len({video.path for video in group}) < len(group) else 'content'


def short(prepared: OwnVideos) -> Iterator[str]:
    """The videos with fewer frames than a clip."""
    clip_len = prepared.args.clip_len
    videos = [v for v in prepared.videos if not v.problem and v.facts and v.facts.frames < clip_len]
    if videos:
        found = f'{len(videos)} video(s), such as {some(videos)}'
        yield f'shorter than a clip of {clip_len} frames, which repeats some: {found}'


def warnings(prepared: OwnVideos) -> Iterator[str]:
    """What makes a result doubtful."""
    sound = [video for video in prepared.videos if not video.problem]
    count = Counter(video.label for video in sound)
    few = [f'{label} ({count[label]})' for label in prepared.classes if count[label] < FEW]
    if few:
        yield f'classes with under {FEW} videos: {some(few)}'
    for split in SPLITS[1:]:
        there = {video.label for video in sound if video.split == split}
        if there and len(there) < len(prepared.classes):
            lacking = [label for label in prepared.classes if label not in there]
            yield f'classes without a {split} video: {some(lacking)}: add videos of other sources'
    leaks = [group for group in prepared.groups if len({video.split for video in group}) > 1]
    if leaks:
        first = {video.split: video for video in leaks[0]}
        example = ' and '.join(f'{video} ({split})' for split, video in first.items())
        given = any(video.given for group in leaks for video in group)
        remedy = 'put each into one' if given else f'remove {prepared.out} to split anew'
        found = f'{len(leaks)} source(s), such as {example}'
        yield f'in several sets: {found}: accuracy will look too high: {remedy}'
    gone = [name for name in prepared.old_classes if name not in count]
    if gone:
        yield f'classes are gone: {some(gone)}: numbers changed, and old checkpoints do not fit'


def some(items: Sequence[object], most: int = 3) -> str:
    """The first items."""
    more = f' and {len(items) - most} more' if len(items) > most else ''
    return ', '.join(map(str, items[:most])) + more

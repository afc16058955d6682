"""Split one's own videos into training, validation and test sets, by hash and by class."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from math import floor

from .own_groups import Group
from .own_sources import SPLITS


def split_groups(groups: Sequence[Group], shares: Mapping[str, float], seed: int) -> None:
    """Give each video that has no split one of SPLITS: its whole group the same.

    Videos that have a split keep it, and take the rest of their group along. Of each class, the
    groups whose hashes are the smallest are held out, until the classes have their share; one at
    least, where there are two groups of a class, and never all. The same files and seed give the
    same split anywhere.

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

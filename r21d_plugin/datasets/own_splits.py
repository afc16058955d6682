"""Split one's own videos into training, validation and test sets, by hash and by class."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from math import floor

from .own_groups import Group
from .own_sources import SPLITS

HELD_OUT = ('test', 'val')


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
    free = []
    for group in groups:
        taken = Counter(video.split for video in group if video.split)
        if taken:
            set_split(group, max(SPLITS, key=lambda split: taken[split]))
        elif group:
            free.append(group)
    free.sort(key=lambda group: hash_of(group, seed))
    shortage = Shortage(groups, shares)
    rest = [group for group in free if not shortage.fill(group)]
    for group in sorted(rest, key=len):
        shortage.fill(group, first=True)
    for group in rest:
        set_split(group, 'train')


def set_split(group: Group, split: str) -> None:
    """Set the split of those that have none."""
    for video in group:
        video.split = video.split or split


def hash_of(group: Group, seed: int) -> str:
    """What groups are ordered by: a hash of the first path."""
    first = min(video.path for video in group)
    return hashlib.sha256(f'{seed} {first}'.encode('utf-8', 'surrogateescape')).hexdigest()


class Shortage:
    """How many videos the held-out sets lack of each class.

    Args:
        groups: All videos, those with a split too.
        shares: As :func:`split_groups` takes them.
    """

    def __init__(self, groups: Sequence[Group], shares: Mapping[str, float]) -> None:
        videos = [video for group in groups for video in group]
        count = Counter(video.label for video in videos)
        self.held = {s: Counter(v.label for v in videos if v.split == s) for s in HELD_OUT}
        self.training = count - self.held['val'] - self.held['test']
        self.missing: dict[str, Counter[str]] = {}
        left = Counter({label: number - 1 for label, number in count.items()})
        for split in reversed(HELD_OUT):  # of three videos, one validates before one tests
            wanted = {c: min(wanted_of(n, shares[split]), left[c]) for c, n in count.items()}
            left.subtract(wanted)
            self.missing[split] = Counter(wanted) - self.held[split]

    def fill(self, group: Group, first: bool = False) -> bool:
        """Hold a group out if more than half of it is needed and its classes keep a video to train.

        With ``first``, if it is needed for a class that has no video in the set at all.
        """
        labels = Counter(video.label for video in group)
        if any(self.training[label] <= number for label, number in labels.items()):
            return False
        for split in HELD_OUT:
            missing, held = self.missing[split], self.held[split]
            if first:
                needed = any(missing[label] > 0 and not held[label] for label in labels)
            else:
                needed = 2 * sum((labels & missing).values()) > len(group)
            if needed:
                set_split(group, split)
                held.update(labels)
                self.training.subtract(labels)
                missing.subtract(labels)
                return True
        return False


def wanted_of(number: int, share: float) -> int:
    """How many of a number of videos a share is: to the nearest, and one at least."""
    return max(1, floor(number * share + 0.5)) if share else 0

"""A reproducible subset of Kinetics-400's validation videos."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from .._errors import InputError
from ..weights.public import kinetics_400
from .annotation_files import is_listable
from .annotations import read_annotations
from .benchmarks import index_videos, match_videos
from .text_files import quote, read_lines


class LabelledVideo(NamedTuple):
    """A video of Kinetics-400; labels are in the order of the public weights."""

    path: str  # relative to the folder of videos
    label: int

    @property
    def youtube_id(self) -> str:
        """Name of the file, without extension and without the seconds of the clip."""
        return re.sub(r'_\d{6}_\d{6}$', '', Path(self.path).stem)


class FixedList(NamedTuple):
    """Videos in a fixed order, and the number of annotated videos whose files are missing."""

    videos: list[LabelledVideo]
    missing: int

    @property
    def sha256(self) -> str:
        """Hash of the YouTube ids and labels; it does not depend on where the files are."""
        lines = ''.join(f'{video.youtube_id} {video.label}\n' for video in self.videos)
        return hashlib.sha256(lines.encode()).hexdigest()


def fixed_list(
    folder: Path, annotations: Path | None = None, count: int | None = None
) -> FixedList:
    """List validation videos of Kinetics-400, sorted by the SHA-256 of their YouTube ids.

    The folder has ``ID.mp4`` or ``ID_000010_000020.mp4``. ``annotations`` are the official
    ``validate.csv``, or a list for MMAction2 with lines ``path label``; without them, folders are
    named after classes. The first ``count`` videos whose files exist are listed, by default all.
    Raises an InputError if there are fewer, or a class is unknown.
    """
    if annotations is None:
        found = list(in_class_folders(folder))
    elif annotations.suffix == '.csv':
        found = list(annotated(folder, annotations))
    else:
        found = list(listed(annotations))
    there = [video for video in found if video.path and (folder / video.path).is_file()]
    wanted = count or max(len(there), 2)
    if len(there) < wanted:
        problem = f'{len(there)} of the annotated videos are there, and {wanted} are needed'
        raise InputError(f'{folder}: {problem}: use --subset, or name the folder that has them')
    there.sort(key=lambda video: (hashlib.sha256(video.youtube_id.encode()).digest(), video.path))
    return FixedList(there[:wanted], len(found) - len(there))


def in_class_folders(folder: Path) -> Iterator[LabelledVideo]:
    """Find videos in folders named after classes."""
    for key, path in index_videos(folder).items():
        if not path and '/' in key:
            raise InputError(f'{folder}: several files have this name, {key}: keep one')
        if path and is_listable(path):
            name = os.path.basename(os.path.dirname(path))
            yield LabelledVideo(path, label_of(name, f'{folder}/{path}'))


def annotated(folder: Path, path: Path) -> Iterator[LabelledVideo]:
    """Read the official annotations of the validation set; missing files have an empty path."""
    classes, videos = read_annotations('kinetics400', [path])
    videos = (video for video in videos if video.subset == 'val')
    for match in match_videos(videos, index_videos(folder)):
        if match.problem in ('', 'missing'):
            (label,) = match.video.labels
            yield LabelledVideo(match.path, label_of(classes[label], match.video.where))


def listed(path: Path) -> Iterator[LabelledVideo]:
    """Read a list for MMAction2."""
    for line, where in read_lines(path):
        video, _, label = line.rpartition(' ')
        if not video or not label.isdecimal() or len(label) > 3 or int(label) >= 400:
            raise InputError(f'{where}: {quote(line)} is not a path and a label of Kinetics-400')
        yield LabelledVideo(video.strip(), int(label))


def label_of(name: str, where: str) -> int:
    """Look up a class of Kinetics-400; spaces may be ``_``, and punctuation may be missing."""
    names = labels_by_name()
    if plain(name) not in names:
        remedy = 'give --annotations, the official validate.csv or a list of paths and labels'
        raise InputError(f'{where}: {quote(name)} is not a class of Kinetics-400: {remedy}')
    return names[plain(name)]


@lru_cache(maxsize=None)
def labels_by_name() -> dict[str, int]:
    """Return the labels of Kinetics-400 by the letters and digits of class names."""
    return {plain(known): label for label, known in enumerate(kinetics_400())}


def plain(name: str) -> str:
    """Return the letters and digits of a name."""
    return re.sub('[^a-z0-9]', '', name.lower())

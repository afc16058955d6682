"""Find and read label maps, the files of class names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from .._errors import InputError
from ..weights.public import kinetics_400
from .text_files import read_lines
from .video_files import SUFFIXES

NO_NAME = re.compile(rf'({"|".join(map(re.escape, SUFFIXES))})\b|, line \d+: ', re.IGNORECASE)
"""Pattern of lines that name videos, in lists or in ``prepare``'s files of excluded videos."""
NUMBERED = re.compile(r'(\d+):?\s+(.+)')
NAMES_FILES = {'class': 'classes.txt', 'labels': 'labels.txt', 'numbers': 'numbers.txt'}
"""File of names that ``prepare folder`` writes, by the ``targets`` of its lists."""


def find_label_map(
    ann_file: str | Path, count: int, given: str | Sequence[str] | None = None
) -> tuple[str, ...]:
    """Return the class names for an annotation file; an empty tuple if they are unknown.

    The names are those given (directly or by a file), else those of the label map beside the
    annotation file. A label map is a .txt file with any name and ``count`` different lines that do
    not name videos. Without a label map, ``kinetics400_*`` with 400 classes gets the published
    names. Raises an InputError if the number of given names is wrong, or several label maps differ.
    """
    path = Path(ann_file)
    if given:
        names = read_label_map(given) if isinstance(given, str) else tuple(given)
        if len(names) != count:
            problem = f'metainfo.classes has {len(names)} names, and there are {count} classes'
            raise InputError(f'{ann_file}: {problem}')
        return names
    others = sorted({*path.parent.glob('*.txt')} - {path}) if path.is_file() else []
    found = {names: other for other in others if (names := names_in(other, count))}
    if len(found) > 1:
        first, second = list(found.values())[:2]
        raise InputError(
            f'{first} and {second} both have {count} lines, which may be the names of the classes: '
            'name one of them in metainfo=dict(classes=FILE) of the dataset, or with --labels'
        )
    if not found and path.name.startswith('kinetics400_') and count == 400:
        return tuple(kinetics_400())
    return next(iter(found), ())


def names_in(path: Path, count: int) -> tuple[str, ...]:
    """Return the names in a file if it is a label map with ``count`` classes, else nothing."""
    try:
        lines = [line for line, _ in islice(read_lines(path), count + 1)]
    except InputError:
        return ()
    distinct = len(lines) == count == len(set(lines))
    is_list = any(map(NO_NAME.search, lines)) or all('/' in line for line in lines)
    return () if is_list or not distinct else names_of(path, lines)


def names_of(path: Path, lines: Sequence[str]) -> tuple[str, ...]:
    """Remove the line numbers before names, as in ``1 ApplyEyeMakeup``, if all lines have them.

    Names that ``prepare`` wrote have none, and names that differ in their number alone keep it.
    """
    if path.name in NAMES_FILES.values():
        return tuple(lines)
    found = [NUMBERED.fullmatch(line) for line in lines]
    numbers = [int(match[1]) for match in found if match]
    counted = numbers in ([*range(len(lines))], [*range(1, len(lines) + 1)])
    names = tuple(match[2] for match in found if match)
    return names if counted and len({*names}) == len(lines) else tuple(lines)


def read_label_map(path: str | Path) -> tuple[str, ...]:
    """Read class names, one per line; raise an InputError if the file is missing."""
    try:
        return names_of(Path(path), [name for name, _ in read_lines(Path(path))])
    except InputError as error:
        reason = str(error).replace(f'{path}: ', '', 1)
        raise InputError(
            f'{path}: no readable label map (one name per line, in UTF-8): {reason}'
        ) from error

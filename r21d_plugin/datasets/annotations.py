"""Readers of the official annotation files of the paper's benchmarks and EchoNet-Dynamic.

Each reader yields videos in file order, one line at a time, with labels from 0. If a dataset has
several splits, a video may be yielded once for each.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Tuple

from .._errors import InputError
from .text_files import quote, read_lines, read_number, read_table

KINETICS_COLUMNS = ('label', 'youtube_id', 'time_start', 'time_end', 'split')


class Video(NamedTuple):
    """An annotated video."""

    subset: str  # name of its list, such as train_split_1
    names: tuple[str, ...]  # possible names of its file, without extension, the best first
    labels: tuple[Any, ...]  # class numbers; for EchoNet-Dynamic, measured values
    where: str  # file and line of the annotation
    seconds: tuple[float, float] | None = None  # begin and end of the part of a YouTube video


Annotations = Tuple[List[str], Iterator[Video]]  # class names and videos
Reader = Callable[[Any], Annotations]  # of a sequence of paths

READERS: dict[str, Reader] = {}
"""Readers by the name of their dataset, as ``r21d prepare`` takes it."""

CLASSES: dict[str, int] = {}
"""Numbers of classes by the name of the dataset."""


def reader(num_classes: int) -> Callable[[Reader], Reader]:
    """Decorator: register a reader under its own name, with the dataset's number of classes."""

    def register(function: Reader) -> Reader:
        READERS[function.__name__], CLASSES[function.__name__] = function, num_classes
        return function

    return register


@reader(num_classes=400)
def kinetics400(files: Sequence[Path]) -> Annotations:
    """Read Kinetics: CSV files with label, youtube_id, time_start, time_end, split.

    Classes are numbered in alphabetical order, as in MMAction2. Videos are named
    ``id_000010_000020``, as by the usual download tools, or ``id``.
    """

    def rows() -> Iterator[tuple[dict[str, str], str]]:
        return chain.from_iterable(read_table(path, KINETICS_COLUMNS) for path in files)

    classes = sorted({row['label'] for row, _ in rows()})
    number = {name: i for i, name in enumerate(classes)}

    def videos() -> Iterator[Video]:
        for row, where in rows():
            try:
                begin, end = float(row['time_start']), float(row['time_end'])
                subset = dict(train='train', validate='val', val='val')[row['split']]
            except (KeyError, ValueError) as error:
                found = f'split {quote(row["split"])} or times'
                wanted = 'give the training and validation sets of Kinetics'
                raise InputError(f'{where}: {found} are wrong: {wanted}') from error
            names = (f'{row["youtube_id"]}_{begin:06.0f}_{end:06.0f}', row['youtube_id'])
            yield Video(subset, names, (number[row['label']],), where, (begin, end))

    return classes, videos()


@reader(num_classes=487)
def sports1m(files: Sequence[Path]) -> Annotations:
    """Read Sports-1M: ``train_partition.txt``, ``test_partition.txt`` and ``labels.txt``."""
    found = find_files(files, 'train_partition.txt', 'test_partition.txt', 'labels.txt')
    classes = [line for line, _ in read_lines(found['labels.txt'])]
    address = re.compile(r'https?://(?:www\.)?youtube\.com/watch\?v=(\S+) (\d{1,9}(?:,\d{1,9})*)')

    def videos() -> Iterator[Video]:
        for subset in ('train', 'test'):
            for line, where in read_lines(found[f'{subset}_partition.txt']):
                match = address.fullmatch(line)
                if match is None:
                    raise InputError(f'{where}: {quote(line)} is not a YouTube address and labels')
                labels = tuple(sorted({int(label) for label in match[2].split(',')}))
                if labels[-1] >= len(classes):
                    label_map = f'the label map of {len(classes)} classes'
                    raise InputError(f'{where}: label {labels[-1]} is outside {label_map}')
                yield Video(subset, (match[1],), labels, where)

    return classes, videos()


@reader(num_classes=101)
def ucf101(files: Sequence[Path]) -> Annotations:
    """Read UCF101: the folder ``ucfTrainTestlist`` with three splits and ``classInd.txt``."""
    lists = [f'{kind}list0{split}.txt' for split in (1, 2, 3) for kind in ('train', 'test')]
    found = find_files(files, 'classInd.txt', *lists)
    classes = []
    for number, (line, where) in enumerate(read_lines(found['classInd.txt']), start=1):
        index, _, name = line.partition(' ')
        if index != str(number) or not name:
            raise InputError(f'{where}: {quote(line)} is not {number} and the name of a class')
        classes.append(name.strip())

    def videos() -> Iterator[Video]:
        for name in lists:
            subset = f'{"train" if name.startswith("train") else "val"}_split_{name[-5]}'
            for line, where in read_lines(found[name]):
                path, _, index = line.partition(' ')
                file = Path(path.replace('\\', '/'))
                folder = str(file.parent)
                if folder not in classes:
                    raise InputError(f'{where}: no class {quote(folder)} in the label map')
                label = classes.index(folder)
                if index and index.strip() != str(label + 1):
                    raise InputError(f'{where}: {folder} is class {label + 1}, not {index.strip()}')
                yield Video(subset, (f'{folder}/{file.stem}', file.stem), (label,), where)

    return classes, videos()


@reader(num_classes=51)
def hmdb51(files: Sequence[Path]) -> Annotations:
    """Read HMDB51: files such as ``brush_hair_test_split1.txt`` with names and codes 0, 1 or 2.

    Code 1 means training, 2 testing, and 0 neither. Classes are numbered in alphabetical order.
    """
    matches = [re.fullmatch(r'(.+)_test_split[123]\.txt', name) for name in find_files(files)]
    classes = sorted({match[1] for match in matches if match})
    lists = [f'{name}_test_split{i}.txt' for name in classes or ['brush_hair'] for i in (1, 2, 3)]
    found = find_files(files, *lists)

    def videos() -> Iterator[Video]:
        for name in lists:
            folder, split = Path(name).stem.split('_test_split')
            for line, where in read_lines(found[name]):
                file, _, code = line.rpartition(' ')
                if code not in ('0', '1', '2') or not file:
                    raise InputError(f'{where}: {quote(line)} is not a video and code 0, 1 or 2')
                if code != '0':
                    subset = f'{"train" if code == "1" else "val"}_split_{split}'
                    stem = Path(file.strip()).stem
                    yield Video(subset, (f'{folder}/{stem}', stem), (classes.index(folder),), where)

    return classes, videos()


@reader(num_classes=1)
def echonet(files: Sequence[Path]) -> Annotations:
    """Read EchoNet-Dynamic: the ejection fractions in ``FileList.csv``, and the traces.

    Videos with fewer than two traced frames in ``VolumeTracings.csv`` are skipped, as by the
    authors; without that file, all videos are used.
    """
    found = find_files(files, 'FileList.csv')
    traces: dict[str, set[str]] = defaultdict(set)
    if tracings := found.get('VolumeTracings.csv'):
        for row, _ in read_table(tracings, ('filename', 'frame')):
            traces[Path(row['filename']).stem].add(row['frame'])

    def videos() -> Iterator[Video]:
        for row, where in read_table(found['FileList.csv'], ('filename', 'ef', 'split')):
            name, subset = Path(row['filename']).stem, row['split'].lower()
            if subset not in ('train', 'val', 'test'):
                raise InputError(f'{where}: split {quote(row["split"])}: use TRAIN, VAL or TEST')
            if (fraction := read_number(row['ef'])) is None:
                raise InputError(f'{where}: EF is {quote(row["ef"])}, not a number')
            if not tracings or len(traces[name]) >= 2:
                yield Video(subset, (name,), (fraction,), where)

    return ['EF'], videos()


def read_annotations(dataset: str, files: Sequence[Path]) -> Annotations:
    """Read the official files (or folders) of a dataset in :data:`READERS`; check the classes."""
    classes, videos = READERS[dataset](files)
    if len(classes) != CLASSES[dataset]:
        counts = f'{len(classes)} classes, but {dataset} has {CLASSES[dataset]}'
        raise InputError(f'{files[0]}: {counts}: give all annotation files of this dataset')
    return classes, videos


def find_files(files: Sequence[Path], *names: str) -> dict[str, Path]:
    """Find files by name, also in folders; raise an InputError if one of ``names`` is missing."""
    found: dict[str, Path] = {}
    for path in files:
        if not path.exists():
            raise InputError(f'{path}: no such annotation file or folder')
        below = sorted(path.rglob('*.[ct][sx][vt]')) if path.is_dir() else [path]
        found.update({file.name: file for file in below})
    for name in names:
        if name not in found:
            raise InputError(f'{files[0]}: {name} is missing: give it with the other annotations')
    return found

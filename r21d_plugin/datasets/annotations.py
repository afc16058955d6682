"""The official annotation files of the paper's four benchmarks.

Each reader yields the videos in the order of the files, a line at a time, with
labels from 0. Where a dataset has splits, a video may come once for each.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .._errors import InputError
from .lines import quoted, read_lines


class Video(NamedTuple):
    """A video as annotated.

    Attributes:
        subset (str): Name of the list that it belongs to, such as
            ``train_split_1``.
        names (tuple[str, ...]): Names that its file may have, without
            extension, the best one first.
        labels (tuple[int, ...]): Its classes, from 0.
        where (str): File and line that it comes from.
        seconds (tuple[float, float], optional): Annotated part of the video
            on YouTube, beginning and end.
    """

    subset: str
    names: tuple[str, ...]
    labels: tuple[int, ...]
    where: str
    seconds: tuple[float, float] | None = None


class Annotations(NamedTuple):
    """What the files of a benchmark say.

    Attributes:
        classes (list[str]): Names of the classes.
        videos (Callable[[], Iterator[Video]]): Function that reads the videos,
            anew at each call.
    """

    classes: list[str]
    videos: Callable[[], Iterator[Video]]


def class_label(classes: dict[str, int], name: str, where: str) -> int:
    """Label of a class by its name.

    Raises:
        InputError: If there is no such class.
    """
    if name not in classes:
        raise InputError(f'{where}: no class {quoted(name)} in the label map')
    return classes[name]


def kinetics400(files: Sequence[Path]) -> Annotations:
    """Kinetics: CSV files of label, youtube_id, time_start, time_end, split.

    Classes are numbered in alphabetical order, as MMAction2 does. Videos are
    named ``id_000010_000020``, as the usual download tools do, or ``id``.
    """
    names: set[str] = set()
    for path in files:
        names.update(row['label'] for row, _ in kinetics_rows(path))
    classes = sorted(names)
    number = {name: i for i, name in enumerate(classes)}

    def videos() -> Iterator[Video]:
        for path in files:
            for row, where in kinetics_rows(path):
                try:
                    seconds = float(row['time_start']), float(row['time_end'])
                    subset = dict(train='train', validate='val', val='val')[row['split']]
                except (KeyError, ValueError) as error:
                    raise InputError(
                        f'{where}: split {quoted(row["split"])} or times are not as in Kinetics: '
                        'give the CSV files of its training and validation sets'
                    ) from error
                identity = row['youtube_id']
                clip = f'{identity}_{seconds[0]:06.0f}_{seconds[1]:06.0f}'
                label = class_label(number, row['label'], where)
                yield Video(subset, (clip, identity), (label,), where, seconds)

    return Annotations(classes, videos)


def kinetics_rows(path: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Rows of a CSV file and where each is.

    Raises:
        InputError: If its columns are others.
    """
    lines = read_lines(path)
    header, where = next(lines, ('', f'{path}, line 1'))
    columns = [column.strip() for column in header.split(',')]
    needed = {'label', 'youtube_id', 'time_start', 'time_end', 'split'}
    if not needed <= set(columns):
        raise InputError(
            f'{where}: the columns are {", ".join(columns)[:200]}, and Kinetics has '
            'label, youtube_id, time_start, time_end, split'
        )
    for line, where in lines:
        values = next(csv.reader([line]))
        if len(values) != len(columns):
            raise InputError(f'{where}: {len(values)} columns, not {len(columns)}')
        yield dict(zip(columns, (value.strip() for value in values), strict=True)), where


def sports1m(files: Sequence[Path]) -> Annotations:
    """Sports-1M: ``train_partition.txt``, ``test_partition.txt`` and ``labels.txt``."""
    by_name = named(files, ['train_partition.txt', 'test_partition.txt', 'labels.txt'])
    classes = [line for line, _ in read_lines(by_name['labels.txt'])]
    address = re.compile(r'https?://(?:www\.)?youtube\.com/watch\?v=(\S+) (\d{1,9}(?:,\d{1,9})*)')

    def videos() -> Iterator[Video]:
        for subset in ('train', 'test'):
            for line, where in read_lines(by_name[f'{subset}_partition.txt']):
                match = address.fullmatch(line)
                if match is None:
                    raise InputError(
                        f'{where}: {quoted(line)} is not a YouTube address and its labels'
                    )
                labels = tuple(sorted({int(label) for label in match[2].split(',')}))
                check_range(labels, classes, where)
                yield Video(subset, (match[1],), labels, where)

    return Annotations(classes, videos)


def ucf101(files: Sequence[Path]) -> Annotations:
    """UCF101: the folder ``ucfTrainTestlist`` of three splits and ``classInd.txt``."""
    lists = [f'{kind}list0{split}.txt' for split in (1, 2, 3) for kind in ('train', 'test')]
    by_name = named(files, ['classInd.txt', *lists])
    classes = []
    for number, (line, where) in enumerate(read_lines(by_name['classInd.txt']), start=1):
        index, _, name = line.partition(' ')
        if index != str(number) or not name:
            raise InputError(f'{where}: {quoted(line)} is not {number} and the name of a class')
        classes.append(name.strip())
    labels = {name: i for i, name in enumerate(classes)}

    def videos() -> Iterator[Video]:
        for name in lists:
            subset = f'{"train" if name.startswith("train") else "val"}_split_{int(name[-6:-4])}'
            for line, where in read_lines(by_name[name]):
                path, _, index = line.partition(' ')
                folder, _, file = path.replace('\\', '/').rpartition('/')
                label = class_label(labels, folder, where)
                if index and index.strip() != str(label + 1):
                    raise InputError(f'{where}: {folder} is class {label + 1}, not {index.strip()}')
                yield Video(subset, in_class(folder, Path(file).stem), (label,), where)

    return Annotations(classes, videos)


def hmdb51(files: Sequence[Path]) -> Annotations:
    """HMDB51: files ``brush_hair_test_split1.txt`` of names and codes 0, 1 or 2.

    Code 1 is training, 2 testing, and 0 neither. Classes are numbered in
    alphabetical order.
    """
    pattern = re.compile(r'(?P<name>.+)_test_split(?P<split>[123])\.txt')
    matches = [(path, match) for path in expand(files) if (match := pattern.fullmatch(path.name))]
    classes = sorted({match['name'] for _, match in matches})
    complete = {(name, split) for name in classes for split in '123'}
    missing = sorted(complete - {(match['name'], match['split']) for _, match in matches})
    if missing or not classes:
        name, split = missing[0] if missing else ('brush_hair', '1')
        raise InputError(f'{files[0]}: {name}_test_split{split}.txt is missing: give all of HMDB51')

    def videos() -> Iterator[Video]:
        for path, match in sorted(matches):
            for line, where in read_lines(path):
                file, _, code = line.rpartition(' ')
                if code not in ('0', '1', '2') or not file:
                    raise InputError(f'{where}: {quoted(line)} is not a video and code 0, 1 or 2')
                if code == '0':
                    continue
                subset = f'{"train" if code == "1" else "val"}_split_{match["split"]}'
                names = in_class(match['name'], Path(file.strip()).stem)
                yield Video(subset, names, (classes.index(match['name']),), where)

    return Annotations(classes, videos)


def in_class(folder: str, stem: str) -> tuple[str, str]:
    """Names of a video of a class: with its folder, where that matters, and without."""
    return f'{folder}/{stem}', stem


READERS: dict[str, Callable[[Sequence[Path]], Annotations]] = {
    'kinetics400': kinetics400,
    'sports1m': sports1m,
    'ucf101': ucf101,
    'hmdb51': hmdb51,
}
"""Reader of each benchmark's files."""

CLASSES = dict(kinetics400=400, sports1m=487, ucf101=101, hmdb51=51)
"""Classes of each."""


def read_annotations(dataset: str, files: Sequence[Path]) -> Annotations:
    """Read the official annotation files of a benchmark.

    Args:
        dataset (str): ``'kinetics400'``, ``'sports1m'``, ``'ucf101'`` or
            ``'hmdb51'``.
        files (Sequence[Path]): Its files, or folders of them.

    Raises:
        InputError: If they are not those of the benchmark.
    """
    annotations = READERS[dataset](files)
    if len(annotations.classes) != CLASSES[dataset]:
        raise InputError(
            f'{files[0]}: {len(annotations.classes)} classes, and {dataset} has '
            f'{CLASSES[dataset]}: is it the annotation of another dataset, or a part of it?'
        )
    return annotations


def expand(files: Sequence[Path]) -> list[Path]:
    """Files, and those in folders.

    Raises:
        InputError: If one does not exist.
    """
    found: list[Path] = []
    for path in files:
        if not path.exists():
            raise InputError(f'{path}: no such annotation file or folder')
        found += sorted(path.rglob('*.txt')) if path.is_dir() else [path]
    return found


def named(files: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    """Find files by name.

    Raises:
        InputError: If one of them is missing.
    """
    found = {path.name: path for path in expand(files)}
    for name in names:
        if name not in found:
            raise InputError(f'{files[0]}: {name} is missing: give it with the other annotations')
    return found


def check_range(labels: tuple[int, ...], classes: list[str], where: str) -> None:
    """Check labels against the label map.

    Raises:
        InputError: If one is outside.
    """
    if max(labels) >= len(classes):
        raise InputError(
            f'{where}: label {max(labels)} is outside the label map of {len(classes)} classes'
        )

"""The official annotation files of the paper's four benchmarks.

Each reader yields the videos in the order of the files, a line at a time, with labels from 0. Where
a dataset has splits, a video may come once for each.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .._errors import InputError
from .text_files import quote, read_lines


class Video(NamedTuple):
    """An annotated video.

    Attributes:
        subset (str): Name of its list, such as ``train_split_1``.
        names (tuple[str, ...]): Possible names of its file, without extension, the best first.
        labels (tuple[int, ...]): Its classes.
        where (str): File and line of the annotation.
        seconds (tuple[float, float], optional): Begin and end of the annotated part of the video on
            YouTube.
    """

    subset: str
    names: tuple[str, ...]
    labels: tuple[int, ...]
    where: str
    seconds: tuple[float, float] | None = None


class Annotations(NamedTuple):
    """Names of the classes of a benchmark, and its videos."""

    classes: list[str]
    videos: Iterator[Video]


def kinetics400(files: Sequence[Path]) -> Annotations:
    """Kinetics: CSV files of label, youtube_id, time_start, time_end, split.

    Classes are numbered in alphabetical order, as MMAction2 does. Videos are named
    ``id_000010_000020``, as the usual download tools do, or ``id``.
    """
    classes = sorted({row['label'] for path in files for row, _ in kinetics_rows(path)})
    number = {name: i for i, name in enumerate(classes)}
    subsets = dict(train='train', validate='val', val='val')

    def videos() -> Iterator[Video]:
        for row, where in (entry for path in files for entry in kinetics_rows(path)):
            try:
                seconds = float(row['time_start']), float(row['time_end'])
                subset = subsets[row['split']]
            except (KeyError, ValueError) as error:
                raise InputError(
                    f'{where}: split {quote(row["split"])} or times are not as in Kinetics: '
                    'give the CSV files of its training and validation sets'
                ) from error
            video = row['youtube_id']
            names = (f'{video}_{seconds[0]:06.0f}_{seconds[1]:06.0f}', video)
            yield Video(subset, names, (number[row['label']],), where, seconds)

    return Annotations(classes, videos())


def kinetics_rows(path: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Rows of a CSV file of Kinetics, and the place of each."""
    lines = read_lines(path)
    header, where = next(lines, ('', f'{path}, line 1'))
    columns = [column.strip() for column in header.split(',')]
    if not {'label', 'youtube_id', 'time_start', 'time_end', 'split'} <= set(columns):
        raise InputError(
            f'{where}: the columns are {", ".join(columns)[:200]}, and Kinetics has '
            'label, youtube_id, time_start, time_end, split'
        )
    for line, where in lines:
        values = [value.strip() for value in next(csv.reader([line]))]
        if len(values) != len(columns):
            raise InputError(f'{where}: {len(values)} columns, not {len(columns)}')
        yield dict(zip(columns, values, strict=True)), where


def sports1m(files: Sequence[Path]) -> Annotations:
    """Sports-1M: ``train_partition.txt``, ``test_partition.txt`` and ``labels.txt``."""
    found = find_files(files, 'train_partition.txt', 'test_partition.txt', 'labels.txt')
    classes = [line for line, _ in read_lines(found['labels.txt'])]
    address = re.compile(r'https?://(?:www\.)?youtube\.com/watch\?v=(\S+) (\d{1,9}(?:,\d{1,9})*)')

    def videos() -> Iterator[Video]:
        for subset in ('train', 'test'):
            for line, where in read_lines(found[f'{subset}_partition.txt']):
                match = address.fullmatch(line)
                if match is None:
                    raise InputError(
                        f'{where}: {quote(line)} is not a YouTube address and its labels'
                    )
                labels = tuple(sorted({int(label) for label in match[2].split(',')}))
                if labels[-1] >= len(classes):
                    raise InputError(
                        f'{where}: label {labels[-1]} is outside the label map of '
                        f'{len(classes)} classes'
                    )
                yield Video(subset, (match[1],), labels, where)

    return Annotations(classes, videos())


def ucf101(files: Sequence[Path]) -> Annotations:
    """UCF101: the folder ``ucfTrainTestlist`` of three splits and ``classInd.txt``."""
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
                folder, _, file = path.replace('\\', '/').rpartition('/')
                if folder not in classes:
                    raise InputError(f'{where}: no class {quote(folder)} in the label map')
                label = classes.index(folder)
                if index and index.strip() != str(label + 1):
                    raise InputError(f'{where}: {folder} is class {label + 1}, not {index.strip()}')
                stem = Path(file).stem
                yield Video(subset, (f'{folder}/{stem}', stem), (label,), where)

    return Annotations(classes, videos())


def hmdb51(files: Sequence[Path]) -> Annotations:
    """HMDB51: files ``brush_hair_test_split1.txt`` of names and codes 0, 1 or 2.

    Code 1 is training, 2 testing, and 0 neither. Classes are numbered in alphabetical order.
    """
    pattern = re.compile(r'(?P<name>.+)_test_split(?P<split>[123])\.txt')
    matches = [(path, match) for path in expand(files) if (match := pattern.fullmatch(path.name))]
    classes = sorted({match['name'] for _, match in matches})
    needed = {(name, split) for name in classes or ['brush_hair'] for split in '123'}
    missing = sorted(needed - {(match['name'], match['split']) for _, match in matches})
    if missing:
        name, split = missing[0]
        raise InputError(f'{files[0]}: {name}_test_split{split}.txt is missing: give all of HMDB51')

    def videos() -> Iterator[Video]:
        for path, match in sorted(matches):
            for line, where in read_lines(path):
                file, _, code = line.rpartition(' ')
                if code not in ('0', '1', '2') or not file:
                    raise InputError(f'{where}: {quote(line)} is not a video and code 0, 1 or 2')
                if code == '0':
                    continue
                subset = f'{"train" if code == "1" else "val"}_split_{match["split"]}'
                stem, label = Path(file.strip()).stem, classes.index(match['name'])
                yield Video(subset, (f'{match["name"]}/{stem}', stem), (label,), where)

    return Annotations(classes, videos())


READERS: dict[str, Callable[[Sequence[Path]], Annotations]] = {
    'kinetics400': kinetics400,
    'sports1m': sports1m,
    'ucf101': ucf101,
    'hmdb51': hmdb51,
}
"""Reader of each benchmark's files."""

CLASSES = dict(kinetics400=400, sports1m=487, ucf101=101, hmdb51=51)
"""Number of classes of each."""


def read_annotations(dataset: str, files: Sequence[Path]) -> Annotations:
    """Read the official annotation files of a benchmark.

    Args:
        dataset (str): ``'kinetics400'``, ``'sports1m'``, ``'ucf101'`` or ``'hmdb51'``.
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
    """Replace folders by the text files in them."""
    found: list[Path] = []
    for path in files:
        if not path.exists():
            raise InputError(f'{path}: no such annotation file or folder')
        found += sorted(path.rglob('*.txt')) if path.is_dir() else [path]
    return found


def find_files(files: Sequence[Path], *names: str) -> dict[str, Path]:
    """Find files by name, all of which have to be there."""
    found = {path.name: path for path in expand(files)}
    for name in names:
        if name not in found:
            raise InputError(f'{files[0]}: {name} is missing: give it with the other annotations')
    return found

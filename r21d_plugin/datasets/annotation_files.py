"""Write annotation files and their tables, and note what is found out in between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from .._atomic import atomic_write, name_file_on_error
from .video_facts import HEADER, VideoFacts, read_facts

PROBLEMS = ('missing', 'broken', 'duplicate')


def is_listable(path: str) -> bool:
    """Whether a line of a list in UTF-8 can hold a path."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return '\n' not in path and '\r' not in path


class AnnotationFiles:
    """Lists, their tables, and the file of names, which appear in a folder all at once.

    Args:
        out: The folder.
        label_map: Name of the file of the names of classes, labels or numbers.
        replaced: Patterns of the names of what earlier runs wrote, to remove what this one does
            not write again.
    """

    def __init__(self, out: Path, label_map: str, replaced: Sequence[str]) -> None:
        self.out, self.label_map = out, label_map
        self.replaced = [*map('{}_videos.txt'.format, PROBLEMS), *replaced]
        self.lines: dict[str, list[str]] = defaultdict(list)

    def add(
        self, name: str, path: str, labels: Iterable[object], facts: VideoFacts | None = None
    ) -> None:
        """Add a video, and what is known of it, to the list of this name."""
        self.lines[f'{name}.txt'].append(' '.join([path, *map(str, labels)]))
        if facts:
            self.lines[f'{name}.tsv'].append(str(facts))

    def add_problem(self, problem: str, line: str) -> None:
        """Name a video that is in no list because of one of PROBLEMS."""
        self.lines[f'{problem}_videos.txt'].append(line)

    def problems(self) -> Iterator[str]:
        """Where the videos that are in no list are named."""
        for problem in PROBLEMS:
            if lines := self.lines.get(name := f'{problem}_videos.txt'):
                yield f'{problem} videos: see {self.out / name}, such as {lines[0]}'

    def earlier(self) -> list[Path]:
        """Files of earlier runs."""
        return [path for pattern in self.replaced for path in self.out.glob(pattern)]

    def write(self, classes: list[str]) -> None:
        """Write all files, and remove those of an earlier run that these do not replace."""
        files = {**self.lines, self.label_map: classes}
        with ExitStack() as written:
            for name, lines in files.items():
                lines = [HEADER, *lines] if name.endswith('.tsv') else lines
                partial = written.enter_context(atomic_write(self.out / name))
                partial.write_text(''.join(f'{line}\n' for line in lines), 'utf-8')
        for path in self.earlier():
            if path.name not in files:
                path.unlink()


class Journal:
    """What runs that were stopped found out, a line for each video: a table beside the lists.

    Args:
        out: The folder of the lists.
        dataset: Name of the dataset.
        name: Gives a process that does a part of the videos a table of its own.
    """

    def __init__(self, out: Path, dataset: str, name: Callable[[Path], Path]) -> None:
        self.out, self.pattern = out, f'.{dataset}_videos.partial*.tsv'
        self.path = name(out / self.pattern.replace('*', ''))

    def read(self, earlier: Iterable[Path]) -> dict[str, VideoFacts]:
        """What is known by the tables among earlier files and by all journals, by paths."""
        tables = [path for path in earlier if path.suffix == '.tsv']
        tables += sorted(self.out.glob(self.pattern))
        return {facts.path: facts for table in tables for facts in read_facts(table)}

    def add(self, facts: VideoFacts) -> None:
        """Add a line."""
        with name_file_on_error(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open('a', encoding='utf-8') as file:
                file.write(f'{facts}\n')

    def remove(self) -> None:
        """Remove all journals: all of them is in tables."""
        for path in self.out.glob(self.pattern):
            path.unlink(missing_ok=True)

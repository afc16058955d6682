"""Write annotation files, their tables of facts, and a journal of checked videos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from .._atomic import atomic_write, name_file_on_error
from .video_facts import HEADER, VideoFacts, read_facts

PROBLEMS = ('missing', 'broken', 'duplicate')


def is_listable(path: str) -> bool:
    """Whether a line of a UTF-8 list can represent a path."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return '\n' not in path and '\r' not in path


class AnnotationFiles:
    """Writer of lists, their tables and the file of names, all of which appear at the end.

    ``label_map`` is the file name for the names of classes, labels or numbers. Files of earlier
    runs with a name that matches a pattern in ``replaced`` are removed unless written again.
    """

    def __init__(self, out: Path, label_map: str, replaced: Sequence[str]) -> None:
        self.out, self.label_map = out, label_map
        self.replaced = [*map('{}_videos.txt'.format, PROBLEMS), *replaced]
        self.lines: dict[str, list[str]] = defaultdict(list)

    def add(
        self, name: str, path: str, labels: Iterable[object], facts: VideoFacts | None = None
    ) -> None:
        """Add a video and its facts to a list, given by name."""
        self.lines[f'{name}.txt'].append(' '.join([path, *map(str, labels)]))
        if facts:
            self.lines[f'{name}.tsv'].append(str(facts))

    def add_problem(self, problem: str, line: str) -> None:
        """Add a line for a video that is excluded because of one of PROBLEMS."""
        self.lines[f'{problem}_videos.txt'].append(line)

    def problems(self) -> Iterator[str]:
        """Yield messages that say which files name the excluded videos."""
        for problem in PROBLEMS:
            if lines := self.lines.get(name := f'{problem}_videos.txt'):
                yield f'{problem} videos: see {self.out / name}, such as {lines[0]}'

    def earlier(self) -> list[Path]:
        """Return the files of earlier runs."""
        return [path for pattern in self.replaced for path in self.out.glob(pattern)]

    def write(self, classes: list[str]) -> None:
        """Write all files, and remove files of earlier runs that are not replaced."""
        files = {**self.lines, self.label_map: classes}
        with ExitStack() as written:
            for name, lines in files.items():
                lines = [HEADER, *lines] if name.endswith('.tsv') else lines
                partial = written.enter_context(atomic_write(self.out / name))
                partial.write_text(''.join(f'{line}\n' for line in lines), 'utf-8')
        for path in self.earlier():
            list_of = path.with_suffix('.txt')
            is_table_of_kept = (
                path.suffix == '.tsv' and list_of.exists() and list_of.name not in files
            )
            if path.name not in files and not is_table_of_kept:
                path.unlink()


class Journal:
    """Journal of checked videos, a table beside the lists from which interrupted runs resume.

    ``name`` maps the table's path to a separate path for a process that handles one shard.
    """

    def __init__(self, out: Path, dataset: str, name: Callable[[Path], Path]) -> None:
        self.out, self.pattern = out, f'.{dataset}_videos.partial*.tsv'
        self.path = name(out / self.pattern.replace('*', ''))

    def read(self, earlier: Iterable[Path]) -> dict[str, VideoFacts]:
        """Read the facts in tables of earlier runs and in all journals, by path."""
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
        """Remove all journals, whose content is now in tables."""
        for path in self.out.glob(self.pattern):
            path.unlink(missing_ok=True)

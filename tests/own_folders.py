"""Own videos in the working folder, and the lists that prepare writes of them."""

from __future__ import annotations

import os
from pathlib import Path

PREPARE = ('data/prepare.py', 'folder')
COMMON = ('--out', 'out', '--workers', 1)


def many(label: str, number: int = 5, name: str = '{}.mp4') -> list[str]:
    return [f'{label}/{name.format(i)}' for i in range(number)]


def read(path: str) -> list[str]:
    return Path(path).read_text(encoding='utf-8').splitlines()


def lists() -> dict[str, str]:
    """Return the set of each path in the lists."""
    splits = {path.stem: read(path) for path in Path('out').glob('*.txt')}
    return {
        line.rpartition(' ')[0]: split
        for split in ('train', 'val', 'test')
        for line in splits.get(split, [])
    }


def nothing_written() -> bool:
    return not Path('out').exists() or not os.listdir('out')


def table(name: str, *rows: str) -> str:
    Path(name).write_text('\n'.join(rows) + '\n', encoding='utf-8')
    return name

"""Property of annotation files: they give videos, or an error of one line."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from support import assert_one_line

from r21d_plugin import InputError
from r21d_plugin.datasets import LabelledVideoDataset
from r21d_plugin.datasets.annotations import READERS
from r21d_plugin.datasets.benchmarks import match_videos

INSTRUMENTED = ['csv', 'r21d_plugin.datasets.annotations', 'r21d_plugin.datasets.video_dataset']

FILES = {
    'kinetics400': ['train.csv', 'validate.csv'],
    'sports1m': ['labels.txt', 'train_partition.txt', 'test_partition.txt'],
    'ucf101': ['classInd.txt', *(f'{k}list0{i}.txt' for k in ('train', 'test') for i in (1, 2, 3))],
    'hmdb51': [f'{name}_test_split{i}.txt' for name in ('run', 'wave') for i in (1, 2, 3)],
    'plain': ['list.txt'],
    'plain, several labels': ['list.txt'],
}
"""Files of each form, in the order of their content in a test case."""


def encode(form: str, *contents: bytes) -> bytes:
    """Encode a test case: one byte for its form, then its files."""
    return bytes([list(FILES).index(form)]) + b'\0'.join(contents)


def read(form: str, paths: list[Path]) -> None:
    """Read everything in the files."""
    if form in READERS:
        for report in match_videos(READERS[form](paths)[1], {}):
            assert report.problem in ('missing', 'duplicate')
        return
    dataset = LabelledVideoDataset(
        str(paths[0]),
        num_classes=4,
        multi_class=form.endswith('labels'),
        data_prefix=dict(video='videos'),
        pipeline=[],
    )
    for i in range(len(dataset)):
        path = os.path.normpath(dataset.get_data_info(i)['filename'])
        assert path.split(os.sep)[0] == 'videos', path


def check(data: bytes) -> None:
    """Read a test case; only an InputError of one line is allowed."""
    form = list(FILES)[(data[0] if data else 0) % len(FILES)]
    names, contents = FILES[form], data[1:].split(b'\0')
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in names]
        for i, path in enumerate(paths):
            path.write_bytes(contents[i] if i < len(contents) else b'')
        try:
            read(form, paths)
        except InputError as error:
            assert_one_line(error)

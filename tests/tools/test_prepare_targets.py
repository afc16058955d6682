"""Own videos with several labels, or with numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_folders import COMMON, PREPARE, lists, many, nothing_written, read, table

from r21d_plugin.datasets import LabelledVideoDataset, preparation


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Work in an empty folder; this process checks the videos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preparation, 'parallel_map', lambda f, items, _: map(f, items))
    return tmp_path


def dataset(name: str, count: int, targets: str) -> LabelledVideoDataset:
    return LabelledVideoDataset(f'out/{name}.txt', count, targets=targets, pipeline=[])


def test_several_labels(put, tool, capsys):
    put(*many('my', 10))
    cells = ['run; jump', '', 'jump', 'sit', 'run;run', 'jump', 'run;', 'sit;jump', '', 'run']
    rows = [f'my/my/{i}.mp4,"{cell}",{i // 2}' for i, cell in enumerate(cells)]
    tool(*PREPARE, table('t.csv', 'path,labels,group', *rows), *COMMON)
    assert read('out/labels.txt') == ['jump', 'run', 'sit']
    indices = ('0 1', '-', '0', '2', '1', '0', '1', '0 2', '-', '1')
    lines = {f'my/my/{i}.mp4 {index}' for i, index in enumerate(indices)}
    assert {*read('out/train.txt'), *read('out/val.txt')} == lines
    assert len(read('out/val.txt')) == 2, 'one group'
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    counts = {row[0]: sum(map(int, row[-2:])) for row in rows if row[0] in ('jump', '(none)', '3')}
    assert counts == {'jump': 4, '(none)': 2, '3': 10}

    train = dataset('train', 3, 'labels')
    assert train.metainfo['classes'] == ('jump', 'run', 'sit')
    before = lists_of_paths()
    tool(*PREPARE, 't.csv', *COMMON, '--seed', 5)
    assert lists_of_paths() == before


def lists_of_paths() -> dict[str, set[str]]:
    return {
        name: {line.split()[0] for line in read(f'out/{name}.txt')} for name in ('train', 'val')
    }


def test_numbers(put, tool, capsys):
    put(*many('my', 6))
    rows = [f'my/my/{i}.mp4;{40 + i};{i / 4};x{i}' for i in range(6)]
    tool(*PREPARE, table('t.csv', 'path;EF;edv;id', *rows), *COMMON, '--numbers', 'EF, EDV')
    assert read('out/numbers.txt') == ['EF', 'EDV']
    listed = {*read('out/train.txt'), *read('out/val.txt')}
    assert listed == {f'my/my/{i}.mp4 {40.0 + i} {i / 4}' for i in range(6)}
    printed = capsys.readouterr().out
    assert "columns that are not used: 'id'" in printed
    rows = [line.split() for line in printed.splitlines()]
    values = [float(line.split()[1]) for line in read('out/train.txt')]
    (row,) = [row for row in rows if row[:2] == ['EF', 'train']]
    assert float(row[3]) == pytest.approx(sum(values) / 5, rel=1e-3)
    assert [float(x) for x in (row[2], row[5], row[6])] == [5, min(values), max(values)]

    train = dataset('train', 2, 'numbers')
    assert train.metainfo['classes'] == ('EF', 'EDV')
    before = lists_of_paths()
    tool(*PREPARE, 't.csv', *COMMON, '--numbers', 'EF', '--seed', 5)
    assert lists_of_paths() == before, 'another number more or less leaves the sets as they are'
    assert 'warning: columns are gone: EDV: ' in capsys.readouterr().out


def test_another_kind_replaces_the_names(put, tool):
    put(*many('a'), *many('b'))
    tool(*PREPARE, 'my', *COMMON)
    before = lists()
    rows = [f'{path},{i}' for i, path in enumerate(before)]
    tool(*PREPARE, table('my/t.csv', 'path,x', *rows), *COMMON, '--numbers', 'x')
    assert [path.name for path in Path('out').glob('*s.txt')] == ['numbers.txt']
    assert lists() == before


@pytest.mark.parametrize(
    ('rows', 'options', 'message'),
    [
        (['path,EF', 'a/0.mp4,high'], ['EF'], "t.csv, line 2: EF is 'high', not a number"),
        (['path,EF', 'a/0.mp4,'], ['EF'], "t.csv, line 2: EF is '', not a number"),
        (['path,EF', 'a/0.mp4,nan'], ['EF'], "t.csv, line 2: EF is 'nan', not a number"),
        (['path,EF', 'a/0.mp4,1'], ['EF,EDV'], 'the columns are path, ef: edv is missing'),
        (['path,EF', 'a/0.mp4,1'], ['EF,ef'], '--numbers=EF,ef: name each column once'),
        (['path,EF', 'a/0.mp4,1', 'a/0.mp4,2'], ['EF'], "a/0.mp4 is labelled '1.0' and '2.0' ("),
        (['path,EF', 'a/0.mp4,1'], ['EF'], 'there is one video, or videos of one source alone'),
        (['path,EF,split', 'a/0.mp4,1,val'], ['EF'], 't.csv: no video is left to train'),
        (['path,label,labels', 'a/0.mp4,a,b'], [], 'columns label and labels: leave one'),
        (['path,labels', 'a/0.mp4,', 'b/0.mp4,;'], [], 'no video has a label: fill in labels'),
        (['path,labels', 'a/0.mp4,"a\nb"'], [], "the label 'a\\nb' has a line break"),
    ],
)
def test_bad_tables(put, fails, rows, options, message):
    put('a/0.mp4', 'b/0.mp4')
    options = [word for option in options for word in ('--numbers', option)]
    name = table('my/t.csv', *rows)
    assert message in fails(*PREPARE, name, *COMMON, *options)
    assert nothing_written()


def test_numbers_of_a_folder(put, fails):
    put('a/0.mp4', 'b/0.mp4')
    message = fails(*PREPARE, 'my', *COMMON, '--numbers', 'EF')
    assert '--numbers=EF: it goes with a CSV or TSV file' in message

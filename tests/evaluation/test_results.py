import json

import pytest

from r21d_plugin import InputError
from r21d_plugin.evaluation.results import ACCURACIES, accuracy_table, group_by_stream, last_test

FIRST = {'clip@1': 0.1, 'video@1': 0.2, 'video@5': 0.3, 'time': 1.0}


def write(work_dir, time, content):
    folder = work_dir / time
    folder.mkdir()
    (folder / f'{time}.json').write_text(json.dumps(content))


def test_reads_the_last_test(tmp_path):
    write(tmp_path, '20260101_000000', FIRST)
    write(tmp_path, '20260102_000000', {**FIRST, 'video@1': 0.5})
    write(tmp_path, '20260103_000000', {'something': 'else'})
    (tmp_path / 'predictions').mkdir()
    (tmp_path / 'predictions/all.json').write_text('[{}]')
    assert last_test(tmp_path) == {'clip@1': 0.1, 'video@1': 0.5, 'video@5': 0.3}


def test_several_ranks_wrote_the_file(tmp_path):
    write(tmp_path, '20260101_000000', FIRST)
    path = tmp_path / '20260101_000000/20260101_000000.json'
    path.write_text(path.read_text() + '5}')
    assert last_test(tmp_path) == {'clip@1': 0.1, 'video@1': 0.2, 'video@5': 0.3}


def test_a_damaged_file(tmp_path):
    write(tmp_path, '20260101_000000', FIRST)
    (tmp_path / '20260101_000000/20260101_000000.json').write_text('')
    with pytest.raises(InputError, match=r'20260101_000000\.json: not JSON: run the test again'):
        last_test(tmp_path)


def test_no_test(tmp_path):
    with pytest.raises(InputError, match='no finished test there'):
        last_test(tmp_path)


def test_a_table_of_streams():
    streams = group_by_stream({**FIRST, **{f'rgb/{key}': 0.5 for key in ACCURACIES}})
    assert streams['rgb'] == dict.fromkeys(ACCURACIES, 0.5)
    rows = {'both': streams[''], 'RGB': streams['rgb']}
    table = [line.split() for line in accuracy_table(rows, 'a test').splitlines()]
    assert table[0] == ['a', 'test', *ACCURACIES]
    assert table[2:] == [['both', '10.0%', '20.0%', '30.0%'], ['RGB', '50.0%', '50.0%', '50.0%']]

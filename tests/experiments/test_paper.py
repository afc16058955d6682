"""The page of the paper's results, compared with the configs."""

import pytest
from support import ROOT, parse_config_name
from tools.test_complexity import PUBLISHED

from experiments.study.paper import TABLES

ROWS = [(table, row) for table in TABLES for row in table.rows]
STREAMS = {None: 'RGB', 'flow': 'flow', 'twostream': 'two-stream'}
DATASETS = dict(kinetics='Kinetics', sports1m='Sports-1M', ucf101='UCF101', hmdb51='HMDB51')


@pytest.mark.parametrize(('table', 'row'), ROWS, ids=lambda x: getattr(x, 'config', ''))
def test_row_matches_its_config(table, row):
    """test_configs.py builds each config and compares it with its name."""
    assert (ROOT / f'configs/{row.config}.py').exists()
    network, stream, dataset, frames, _ = parse_config_name(row.config)
    assert (network, STREAMS[stream], frames) == (row.network, row.stream, row.frames)
    assert table.dataset.startswith(DATASETS[dataset])


@pytest.mark.parametrize('name', PUBLISHED)
def test_cost_and_hours_by_hand(name):
    """45 epochs of a million clips, thrice the multiply-adds that the authors publish."""
    page = (ROOT / 'docs/paper.md').read_text().splitlines()
    row = next(line for line in page if f'[{name}_18_kinetics](' in line)
    cost, hours = (row.split('|')[column].strip() for column in (9, 10))
    expected = 45e6 * 3 * PUBLISHED[name][0] / 1e9
    assert float(cost) == pytest.approx(expected, abs=0.06)
    assert float(hours.replace(',', '')) == pytest.approx(expected * 305, rel=0.1)

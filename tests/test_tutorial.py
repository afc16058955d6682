"""The notebooks, with fewer and shorter runs."""

from __future__ import annotations

import json
import re

import pytest
from support import ROOT

pytestmark = pytest.mark.slow

nbclient = pytest.importorskip('nbclient')
nbformat = pytest.importorskip('nbformat')
pytest.importorskip('ipykernel')
pytest.importorskip('jinja2')

SMALLER = {
    'epochs, clips = 10, 4000': 'epochs, clips = 2, 32',
    "'zoom_in'], 60)": "'zoom_in'], 5)",
    "'zoom_out'], 12)": "'zoom_out'], 6)",
}


def output_of(cell) -> str:
    """Return everything that a cell printed; raise an AssertionError if it failed."""
    outputs = cell.get('outputs', [])
    assert not [output for output in outputs if output.output_type == 'error']
    return ''.join(output.get('text', '') for output in outputs)


def run_notebook(name: str, smaller: dict[str, str]) -> list[str]:
    """Run a notebook with replacements in its code; return what its code cells print."""
    notebook = nbformat.read(ROOT / f'docs/{name}.ipynb', 4)
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    for old, new in smaller.items():
        assert sum(old in cell.source for cell in code) == 1
        for cell in code:
            cell.source = cell.source.replace(old, new)
    nbclient.NotebookClient(
        notebook, timeout=600, resources=dict(metadata=dict(path=ROOT / 'docs'))
    ).execute()
    return [output_of(cell) for cell in code]


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Keep what the notebooks write in the folder of the test."""
    monkeypatch.setenv('TMPDIR', str(tmp_path))


def test_the_tutorial_runs(tmp_path):
    *_, prepared, frozen, trained, results, predicted = run_notebook('tutorial', SMALLER)
    assert '4 classes' in prepared
    assert 'checkpoint: work_dirs/frozen/linear_probe.pth' in frozen
    assert 'checkpoint: work_dirs/mine/best_video@1_epoch_' in trained
    assert 'report: work_dirs/mine/report.html' in trained
    assert results.count("'video@1'") == 2
    best = re.findall(r'^  1  (\w+) +[0-9.]+%', predicted, re.MULTILINE)
    assert len(best) == 3
    assert {*best} <= {'left', 'up', 'counterclockwise', 'zoom_out'}
    assert len([*tmp_path.rglob('work_dirs/mine/report.html')]) == 1


def test_the_regression_runs(tmp_path):
    pytest.importorskip('sklearn')
    smaller = {'videos, epochs, clips = 80, 12, 3600': 'videos, epochs, clips = 10, 2, 16'}
    *_, prepared, trained, _, _ = run_notebook('regression', smaller)
    assert re.search(r'^EF +train +8 ', prepared, re.MULTILINE)
    assert 'checkpoint: work_dirs/hearts/best_MAE_epoch_' in trained
    assert 'report: none for numbers' in trained
    (predicted,) = tmp_path.rglob('predicted.json')
    assert {video['classes'][0]['label'] for video in json.loads(predicted.read_text())} == {'EF'}


def test_the_probe_runs(tmp_path):
    pytest.importorskip('h5py')
    smaller = {'videos, epochs, clips = 60, 10, 360': 'videos, epochs, clips = 5, 1, 16'}
    *_, extracted, stored, probed, _ = run_notebook('probe', smaller)
    assert extracted.split() == ['25', 'computed,', '0', 'there', 'already']
    assert stored.startswith('(5, 64) float32')
    assert probed.startswith('20 videos to train, 5 to test')
    (path,) = tmp_path.rglob('probe.json')
    found = json.loads(path.read_text())
    assert f'linear probe, top-1  {found["top1"]:6.1%}' in probed


@pytest.mark.parametrize(
    ('name', 'output'),
    [
        ('tutorial', 'checkpoint: work_dirs/'),
        ('regression', 'checkpoint: work_dirs/'),
        ('probe', '240 videos to train, 60 to test'),
    ],
)
def test_committed_outputs_are_of_a_complete_run(name, output):
    notebook = nbformat.read(ROOT / f'docs/{name}.ipynb', 4)
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert all(cell.execution_count for cell in code)
    assert output in ''.join(map(output_of, code))

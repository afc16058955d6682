"""The tutorial, with fewer and shorter runs."""

import re

import pytest
from support import ROOT

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
    """All that a cell has printed; an assertion error if it failed."""
    outputs = cell.get('outputs', [])
    assert not [output for output in outputs if output.output_type == 'error']
    return ''.join(output.get('text', '') for output in outputs)


def test_the_tutorial_runs(tmp_path, monkeypatch):
    monkeypatch.setenv('TMPDIR', str(tmp_path))
    notebook = nbformat.read(ROOT / 'docs/tutorial.ipynb', 4)
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    for old, new in SMALLER.items():
        assert sum(old in cell.source for cell in code) == 1
        for cell in code:
            cell.source = cell.source.replace(old, new)
    nbclient.NotebookClient(
        notebook, timeout=600, resources=dict(metadata=dict(path=ROOT / 'docs'))
    ).execute()
    *_, prepared, frozen, trained, results, predicted = map(output_of, code)
    assert '4 classes' in prepared
    assert 'checkpoint: work_dirs/frozen/linear_probe.pth' in frozen
    assert 'checkpoint: work_dirs/mine/best_video@1_epoch_' in trained
    assert 'report: work_dirs/mine/report.html' in trained
    assert results.count("'video@1'") == 2
    best = re.findall(r'^  1  (\w+) +[0-9.]+%', predicted, re.MULTILINE)
    assert len(best) == 3
    assert {*best} <= {'left', 'up', 'counterclockwise', 'zoom_out'}
    assert len([*tmp_path.rglob('work_dirs/mine/report.html')]) == 1


def test_its_outputs_are_those_of_a_run():
    notebook = nbformat.read(ROOT / 'docs/tutorial.ipynb', 4)
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert all(cell.execution_count for cell in code)
    assert 'report: work_dirs/mine/report.html' in ''.join(map(output_of, code))

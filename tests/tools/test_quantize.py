"""Quantised checkpoints: their content, their scores, and what is refused."""

import json
import os
import sys

import pytest
import torch
from support import write_video
from untrained import CONFIGS, untrained

from r21d_plugin.inference import quantization
from r21d_plugin.weights import load_checkpoint

pytestmark = pytest.mark.slow

CPU = ['--device', 'cpu']


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Make a folder in the layout of the motion dataset, with some videos."""
    pytest.importorskip('openvino')
    pytest.importorskip('nncf')
    root = tmp_path_factory.mktemp('quantize')
    for split in ('train', 'val'):
        (root / f'videos_{split}').mkdir()
        for i in range(4):
            write_video(root / f'videos_{split}/{i}.mp4', 12, seed=i)
        lines = [f'{i}.mp4 {i}\n' for i in range(4)]
        (root / f'motion_{split}_list_videos.txt').write_text(''.join(lines))
    return root


def arguments(root, folder, stream='rgb', out='int8.pth'):
    data = ['--cfg-options', f'data_root={root}']
    return [CONFIGS[stream], untrained(folder, stream), folder / out, *data]


@pytest.mark.parametrize('stream', ['rgb', 'twostream'])
def test_quantized_checkpoint(root, stream, tool, tmp_path, capsys):
    tool('quantize.py', *arguments(root, tmp_path, stream), '--clips', 3, '--max-drop', 100)
    out = capsys.readouterr().out
    assert 'float32  clip@1 ' in out
    path = tmp_path / 'int8.pth'
    written = load_checkpoint(str(path))
    about = written['meta']['quantization']
    assert (about['config'], about['clips']) == (CONFIGS[stream].stem, 3)
    assert about['float32'].keys() == about['int8'].keys() >= {'clip@1', 'video@1'}
    assert json.loads(about['preprocessing'])['pipeline']
    source = torch.load(tmp_path / f'{stream}_0.pth')['state_dict']
    assert all(torch.equal(written['state_dict'][key], value) for key, value in source.items())

    scores = {}
    common = ['--config', CONFIGS[stream], '--checkpoint', path, *CPU, '--workers', 0, '--top', 10]
    common += ['--cfg-options', f'data_root={root}']
    for name, options in (
        ('torch', []),
        ('int8', ['--runtime', 'openvino', '--dtype', 'int8']),
    ):
        file = tmp_path / 'scores.json'
        tool('predict.py', root / 'videos_val', '--json', file, *common, *options)
        scores[name] = torch.tensor(
            [
                [found['score'] for found in sorted(entry['classes'], key=lambda x: x['number'])]
                for entry in json.loads(file.read_text())
            ]
        )
    difference = (scores['int8'] - scores['torch']).abs().max()
    assert 1e-5 < difference < 0.2, 'of the same network, but rounded'


def test_wrong_options(root, fails, tmp_path):
    first = arguments(root, tmp_path)
    assert 'int8.pt: name a file that ends in .pth' in fails(
        'quantize.py', *arguments(root, tmp_path, out='int8.pt')
    )
    assert '--clips 0: at least 1' in fails('quantize.py', *first, '--clips', 0)
    assert '--max-drop -1: points of' in fails('quantize.py', *first, '--max-drop', -1)
    held_out = root / 'motion_val_list_videos.txt'
    message = fails('quantize.py', *first, '--calibrate', held_out)
    assert f'{held_out}: is the list of the test: calibrate with other videos' in message
    message = fails('quantize.py', *first, '--calibrate', os.path.join(root, '.', held_out.name))
    assert 'is the list of the test' in message
    unlabelled = tmp_path / 'unlabelled.txt'
    unlabelled.write_text('0.mp4\n1.mp4\n')
    message = fails('quantize.py', *first, f'test_dataloader.dataset.ann_file={unlabelled}')
    assert 'the held-out videos have no labels' in message
    assert not (tmp_path / 'int8.pth').exists()


def test_layers_are_given_back(root, tool, fails, tmp_path, monkeypatch):
    """Accuracies are made up: int8 is bad until NNCF's accuracy control has run."""
    import nncf

    ran = []
    control = nncf.quantize_with_accuracy_control

    def run(*args, **kwargs):
        quantized = control(*args, **kwargs)
        ran.append(sum(op.get_type_name() == 'FakeQuantize' for op in quantized.get_ops()))
        return quantized

    def accuracy(model, videos, dtype):
        return {'video@1': 1.0 if dtype == 'float32' or (ran and recovers) else 0.5}

    monkeypatch.setattr(nncf, 'quantize_with_accuracy_control', run)
    monkeypatch.setattr(quantization, 'accuracy', accuracy)
    for recovers in (True, False):
        ran.clear()
        if recovers:
            tool('quantize.py', *arguments(root, tmp_path), '--clips', 2)
            assert (tmp_path / 'int8.pth').exists()
            continue
        message = fails('quantize.py', *arguments(root, tmp_path, out='b.pth'), '--clips', 2)
        assert 'not written: video@1 falls from 100.00% to 50.00%, by more than --max' in message
        assert not (tmp_path / 'b.pth').exists()
        assert len(ran) == 1


def test_without_nncf(root, fails, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'nncf', None)
    monkeypatch.setattr('r21d_plugin._packages.find_spec', lambda name: None)
    message = fails('quantize.py', *arguments(root, tmp_path))
    assert message == "error: nncf is missing: pip install 'r21d_plugin[quantize]'"


def test_a_drop_of_one_video():
    """Of 200: exactly half a point, which is not more than the default limit."""
    for right in range(1, 201):
        found = {'float32': {'video@1': right / 200}, 'int8': {'video@1': (right - 1) / 200}}
        assert quantization.drop(found) <= 0.5 / 100

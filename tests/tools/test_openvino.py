"""Tests, predictions and features in OpenVINO, compared with PyTorch."""

import json

import numpy as np
import pytest
from support import OPTIONS, ROOT
from untrained import CONFIGS, untrained, write_videos

from r21d_plugin.evaluation.scores import read_scores
from r21d_plugin.models.runtimes import has_bfloat16

pytestmark = pytest.mark.slow

CPU = ['--device', 'cpu']


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('openvino')
    write_videos(root / 'videos')
    return root


@pytest.fixture(scope='module')
def openvino():
    return pytest.importorskip('openvino')


def network(stream, path):
    return ['--config', CONFIGS[stream], '--checkpoint', path, '--workers', 0, *CPU]


def test_wrong_options(root, fails, tmp_path):
    arguments = [root / 'videos', *network('rgb', untrained(tmp_path))]
    message = fails('predict.py', *arguments, '--runtime', 'tensorrt')
    assert message == "error: test_cfg.runtime='tensorrt': use torch or openvino"
    message = fails('predict.py', *arguments, '--dtype', 'int8')
    assert "test_cfg.dtype='int8': use float32, bfloat16 or float16, which runtime='tor" in message
    message = fails(
        'predict.py',
        *arguments,
        '--runtime',
        'openvino',
        '--cfg-options',
        'model.type=Recognizer3D',
    )
    assert 'model.test_cfg.runtime: Recognizer3D ignores it: use model.type=' in message


@pytest.mark.parametrize('stream', CONFIGS)
def test_predict_and_features(root, stream, openvino, tool, fails, tmp_path):
    arguments = network(stream, untrained(tmp_path, stream))
    scores, features = {}, {}
    runtimes = dict(torch=[], openvino=['--runtime', 'openvino'])
    for name, options in runtimes.items():
        out = tmp_path / f'{name}.json'
        tool('predict.py', root / 'videos', '--json', out, '--top', 10, *arguments, *options)
        scores[name] = [entry['classes'][0]['score'] for entry in json.loads(out.read_text())]
        tool('extract_features.py', root / 'videos', '--out', tmp_path / name, *arguments, *options)
        features[name] = {path.name: np.load(path) for path in (tmp_path / name).rglob('*.npy')}
    np.testing.assert_allclose(scores['openvino'], scores['torch'], rtol=1e-3)
    assert len(features['torch']) == 3
    for name, values in features['torch'].items():
        found = features['openvino'][name]
        np.testing.assert_allclose(found, values, atol=1e-4 * np.abs(values).max())
        assert (found != values).any(), 'computed by something else'
    out = ['--out', tmp_path / 'torch', *arguments, *runtimes['openvino']]
    message = fails('extract_features.py', root / 'videos', *out)
    assert 'torch: holds features of' in message
    message = fails(
        'predict.py', root / 'videos', *arguments, *runtimes['openvino'], '--dtype', 'int8'
    )
    assert 'has no int8 network: write one with r21d quantize' in message


def test_a_test(in_kinetics, trained_dir, openvino, tool, tmp_path):
    """A run has the hooks of the default runtime, which accelerate the network."""
    config, scores = ROOT / 'configs/r2plus1d_18_kinetics.py', []
    runtime = ['--runtime', 'openvino']
    kinds = [[], runtime, *([[*runtime, '--dtype', 'bfloat16']] if has_bfloat16() else [])]
    for options in kinds:
        dump = tmp_path / 'scores.npz'
        arguments = [config, trained_dir / 'epoch_2.pth', *CPU, '--work-dir', tmp_path, *options]
        tool('test.py', *arguments, '--dump', dump, *OPTIONS)
        scores.append(read_scores(dump))
    for name, (clips, _) in scores[0].items():
        for other, tolerance in zip(scores[1:], (1e-4, 2e-2)):
            difference = (other[name].clips - clips).abs().max()
            assert 0 < difference < tolerance * clips.max()

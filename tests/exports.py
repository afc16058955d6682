"""Fixtures for tests of exports: export networks and load the files."""

import json

import pytest
import torch
from mmaction.registry import MODELS
from support import ROOT, TINY
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from r21d_plugin.cli.launch import load_config
from r21d_plugin.inference.recognizer import load_recognizer

TOOL = 'export.py'
RGB, FLOW, BOTH = (f'r2plus1d_18_{kind}motion' for kind in ('', 'flow_', 'twostream_'))
STATISTICS = dict(
    imgs=([110.201, 100.64, 95.9966], [58.1489, 56.4701, 55.3324]),
    flow=([0.0046635, 0.0046261], [0.972347, 0.755146]),
)
STREAMS = {FLOW: ['flow'], BOTH: ['imgs', 'flow']}
NARROW = {key: value for key, value in TINY.items() if key.startswith('model.')}
R3D = 'r21d_plugin.R3D'  # half as many layers to trace as R(2+1)D
SHALLOW = {'model.backbone.type': R3D, 'model.backbone.with_cp': True}
SHALLOW_BOTH = {'model.backbone.rgb.type': R3D, 'model.backbone.flow.type': R3D}
FORMATS = pytest.mark.parametrize('suffix', ['.onnx', '.pt2'])


def config(name):
    return ROOT / f'configs/{name}.py'


def options(changes):
    return ['--cfg-options', *(f'{key}={value}' for key, value in changes.items())]


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint of a config whose scores vary, as those of a trained network do."""

    def write(name, changes, clip_len=8):
        torch.manual_seed(0)
        model = MODELS.build(load_config(str(config(name)), changes).model)
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.3)
                module.momentum = 1.0
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.1)
        names = STREAMS.get(name, ['imgs'])
        with torch.no_grad():
            model.backbone(*(normalised(clips(4, s, clip_len=clip_len), s) for s in names))
        path = tmp_path / f'{name}.pth'
        torch.save(dict(state_dict=model.state_dict()), path)
        return path

    return write


@pytest.fixture
def exported(tool, checkpoint, tmp_path):
    """Export the network of a config; return the file and the recognizer."""

    def run(name, suffix, *args, changes):
        weights = checkpoint(name, changes)
        out = tmp_path / f'out/network{suffix}'
        tool(TOOL, config(name), weights, out, *args, *options(changes))
        assert [path.name for path in out.parent.iterdir()] == [out.name]
        assert str(ROOT).encode() not in out.read_bytes()
        cfg = load_config(str(config(name)), changes)
        return out, load_recognizer(cfg, str(weights), torch.device('cpu'))

    return run


def load(path):
    """Load a file: its metadata, and a function from named inputs to scores."""
    if path.suffix == '.onnx':
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
        meta = session.get_modelmeta().custom_metadata_map
        texts = {'config', 'r21d_plugin', *(key for key in meta if key.startswith('onnx'))}
        meta.update({key: json.loads(meta[key]) for key in meta.keys() - texts})
        declared = {value.name: value.shape for value in session.get_inputs()}
        assert declared == {name: value['shape'] for name, value in meta['inputs'].items()}
        assert [(x.name, x.shape) for x in session.get_outputs()] == [
            ('scores', ['batch', meta['num_classes']])
        ]

        def run(**clips):
            (scores,) = session.run(None, {name: x.numpy() for name, x in clips.items()})
            return torch.from_numpy(scores)
    else:
        extra = {'metadata.json': ''}
        network = torch.export.load(path, extra_files=extra).module()
        meta = json.loads(extra['metadata.json'])

        def run(**clips):
            return network(*(clips[name] for name in meta['inputs']))

    return meta, run


def clips(batch, name='imgs', number=None, clip_len=8, size=48):
    """Make clips of a stream before normalisation, each with a different contrast."""
    lead = [batch] if number is None else [batch, number]
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(*lead, len(STATISTICS[name][0]), clip_len, size, size, generator=generator)
    contrast = torch.rand(*lead, 1, 1, 1, 1, generator=generator)
    return contrast * (noise * 255 if name == 'imgs' else (noise - 0.5) * 4)


def normalised(x, name='imgs'):
    mean, std = (torch.tensor(value)[:, None, None, None] for value in STATISTICS[name])
    return (x - mean) / std


def softmax(recognizer, x, name='imgs'):
    """Compute the scores of clips, N x C x T x H x W, with the parts of the recognizer."""
    with torch.no_grad():
        return recognizer.cls_head(recognizer.backbone(normalised(x, name))).softmax(1)


def assert_scores(actual, expected):
    assert len(expected) == 1 or expected.std(0).max() > 1e-3, 'the videos differ'
    assert not actual.requires_grad
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)

"""Networks in OpenVINO, compared with PyTorch."""

import copy
import gc
import sys
import weakref

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

from r21d_plugin import InputError, accelerate, list_models
from r21d_plugin._norm_eps import set_norm_eps
from r21d_plugin.models import runtimes
from r21d_plugin.models.factory import backbone_cfg
from r21d_plugin.models.parts import streams_of

pytestmark = pytest.mark.slow

TOLERANCES = dict(float32=1e-4, bfloat16=5e-2)
"""Largest difference of logits, relative to the largest one."""


@pytest.fixture(params=TOLERANCES)
def dtype(request, openvino):
    """Give the types that OpenVINO has on this CPU."""
    if request.param == 'bfloat16' and not runtimes.has_bfloat16():
        pytest.skip('this CPU lacks bfloat16')
    return request.param


CHANNELS = dict(rgb=dict(imgs=3), flow=dict(flow=2), twostream=dict(imgs=3, flow=2))


def build(name='r2plus1d_18', stream='rgb', **test_cfg):
    """A recognizer of narrow backbones with random norms and classifier, in evaluation mode."""
    parts, preprocessors = {}, {}
    for inputs, channels in CHANNELS[stream].items():
        network = backbone_cfg(name)
        network.update(type=f'r21d_plugin.{network["type"]}', base_channels=4, in_channels=channels)
        parts['rgb' if inputs == 'imgs' else 'flow'] = network
        preprocessors[inputs] = dict(
            type='ActionDataPreprocessor',
            mean=[110.0] * channels,
            std=[58.0] * channels,
            format_shape='NCTHW',
        )
    cfg = dict(
        type='r21d_plugin.MultiClipRecognizer',
        backbone=next(iter(parts.values())),
        cls_head=dict(type='r21d_plugin.ClipHead', num_classes=5, in_channels=32),
        data_preprocessor=next(iter(preprocessors.values())),
    )
    if stream == 'twostream':
        cfg['type'] = 'r21d_plugin.TwoStreamRecognizer'
        cfg['backbone'] = dict(type='r21d_plugin.TwoStreamBackbone', **parts)
        cfg['cls_head']['type'] = 'r21d_plugin.TwoStreamHead'
        cfg['data_preprocessor'] = dict(
            type='MultiModalDataPreprocessor', preprocessors=preprocessors
        )
    torch.manual_seed(0)
    model = MODELS.build(dict(cfg, test_cfg=test_cfg))
    randomize(model)
    return model.eval()


@torch.no_grad()
def randomize(model):
    """Draw parameters as varied as those of a trained network."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.1)
        if isinstance(module, torch.nn.Linear):
            module.weight.normal_()


def batch(stream='rgb', videos=1, views=3, size=32):
    generator = torch.Generator().manual_seed(0)
    inputs = {
        name: [
            torch.randint(256, (views, channels, 8, size, size), generator=generator).byte()
            for _ in range(videos)
        ]
        for name, channels in CHANNELS[stream].items()
    }
    samples = [ActionDataSample() for _ in range(videos)]
    return dict(
        inputs=inputs if len(inputs) > 1 else next(iter(inputs.values())), data_samples=samples
    )


@torch.no_grad()
def logits(model, **kwargs):
    """Return the logits of all views of a batch, which the head receives."""
    found = []
    predict = model.cls_head.predict_by_feat
    model.cls_head.predict_by_feat = lambda x, samples: found.append(x) or predict(x, samples)
    try:
        model.test_step(batch(**kwargs))
    finally:
        del model.cls_head.predict_by_feat
    return found[0]


def difference(a, b):
    return float((a - b).abs().max() / b.abs().max())


def test_types(monkeypatch):
    """This works without OpenVINO too."""
    with pytest.raises(InputError, match=r"^test_cfg.runtime='tensorrt': use torch or openvino$"):
        build(runtime='tensorrt')
    with pytest.raises(InputError, match=r"dtype='int8': use float32, bfloat16 or float16, which"):
        build(dtype='int8')
    with pytest.raises(InputError, match=r"dtype='float16': use float32, bfloat16 or int8, which"):
        build(runtime='openvino', dtype='float16')
    monkeypatch.setitem(sys.modules, 'openvino', None)
    monkeypatch.setattr('r21d_plugin._packages.find_spec', lambda name: None)
    with pytest.raises(InputError, match=r"openvino is missing: pip install 'r21d_plugin\[openvin"):
        build(runtime='openvino')


@pytest.fixture(scope='module')
def openvino():
    return pytest.importorskip('openvino')


@pytest.mark.parametrize('name', list_models(18))
def test_all_networks(name, dtype):
    model = build(name)
    expected = logits(model)
    accelerate(model)
    model.test_cfg = dict(runtime='openvino', dtype=dtype)
    assert difference(logits(model), expected) < TOLERANCES[dtype]
    model.test_cfg = None
    assert difference(logits(model), expected) < 1e-4, 'PyTorch again'


@pytest.mark.parametrize('stream', CHANNELS)
@pytest.mark.parametrize(('videos', 'views', 'limit'), [(1, 1, None), (3, 1, 10), (2, 7, 3)])
def test_streams_and_chunks(stream, videos, views, limit, dtype):
    model = build(stream=stream)
    shape = dict(stream=stream, videos=videos, views=views)
    expected = logits(model, **shape)
    model.test_cfg = dict(runtime='openvino', dtype=dtype, max_testing_views=limit)
    found = logits(model, **shape)
    assert found.dtype == torch.float32
    assert difference(found, expected) < TOLERANCES[dtype]
    other = batch(**shape)
    assert [s.pred_score.shape for s in model.test_step(other)] == [(5,)] * videos


def test_any_size(openvino):
    model = build()
    expected = [logits(model, size=size) for size in (32, 48)]
    model.test_cfg = dict(runtime='openvino')
    for size, values in zip((32, 48), expected):
        assert difference(logits(model, size=size), values) < 1e-4


@torch.no_grad()
def test_new_weights_have_other_scores(openvino):
    model, other = build(), build()
    model.test_cfg = dict(runtime='openvino')

    def check():
        for _ in range(2):
            assert difference(logits(model), logits(other)) < 1e-4

    check()
    for each in (model, other):
        each.backbone.layer3[0].conv1[0][0].weight.mul_(1.5)  # as an optimizer does
    check()
    randomize(other)
    model.load_state_dict(other.state_dict())
    check()
    for each in (model, other):
        each.backbone.stem[0].weight.data.mul_(-1)  # as EMAHook swaps averages in
        each.eval()
    check()


@torch.no_grad()
def test_another_epsilon_and_layer(openvino):
    network, clips = build().backbone, torch.randn(2, 3, 8, 32, 32)

    def check():
        expected = network(clips)
        with runtimes.computed_by_openvino(network, 'float32'):
            found = network(clips)
        assert found.shape == expected.shape
        assert difference(found, expected) < 1e-4

    check()
    set_norm_eps(network, 0.5)
    check()
    network.out_indices = (1,)
    check()


def test_a_network_is_compiled_as_long_as_it_lives(openvino):
    model = build(runtime='openvino')
    logits(model)
    copied = copy.deepcopy(model)
    assert difference(logits(copied), logits(model)) < 1e-6
    gone = weakref.ref(model.backbone)
    del model
    gc.collect()
    assert gone() is None


def test_hooks_of_the_backbone_are_called(openvino):
    model = build(runtime='openvino')
    logits(model)
    seen = []
    model.backbone.register_forward_hook(lambda _, args, out: seen.append(tuple(out.shape)))
    logits(model)
    assert seen == [(3, 32, 1, 2, 2)]


def test_unsupported_modules(openvino):
    model = build('r2d_18', runtime='openvino')
    data = batch()
    data['inputs'] = [torch.cat([x, x], 2) for x in data['inputs']]
    with pytest.raises(InputError, match='R2D was built for clips of 8 frames and got 16'):
        model.test_step(data)
    model.test_cfg['dtype'] = 'int8'
    with pytest.raises(InputError, match='has no int8 network: write one with r21d quantize'):
        model.test_step(batch())
    model.int8 = dict(graph='<net/>', weights=torch.zeros(8, dtype=torch.uint8))
    with pytest.raises(InputError, match=r'^the checkpoint.s int8 network: '):
        model.test_step(batch())
    (stream,) = streams_of(model)
    assert 'forward' not in vars(stream.network), 'computed by PyTorch after an error'
    with pytest.raises(InputError, match='is for the networks of this package'):
        runtimes.convert(torch.nn.Conv3d(3, 4, 3))

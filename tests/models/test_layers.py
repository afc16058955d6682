"""The 2D form of the convolutions against PyTorch's 3D ones."""

import os
import subprocess
import sys
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from r21d_plugin import create_model, list_models
from r21d_plugin.models import layers

KERNELS = {
    'frames': ((1, 3, 3), (0, 1, 1)),
    'time': ((3, 1, 1), (1, 0, 0)),
    'shortcut': ((1, 1, 1), (0, 0, 0)),
    'all': ((3, 3, 3), (1, 1, 1)),
    'conv1': ((3, 7, 7), (1, 3, 3)),
}


@pytest.fixture(autouse=True)
def avx512(monkeypatch):
    """Have gradients of the 2D form where only AVX2 is there, which does without."""
    monkeypatch.setattr(layers, 'cpu_capability', lambda: 'AVX512')


@pytest.fixture
def plainly(monkeypatch):
    """Run a function with PyTorch's own convolutions and norms, as on a GPU."""

    def run(function, *args):
        with monkeypatch.context() as patch:
            patch.setattr(layers, 'eager_on_cpu', lambda x: False)
            return function(*args)

    return run


def conv(kernel, stride):
    spec = layers.ConvSpec(5, 6, 0, {}, KERNELS[kernel][0], stride)
    return layers.Conv3D(spec).double()


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize('stride', [(1, 1, 1), (1, 2, 2), (2, 2, 2)])
@pytest.mark.parametrize('frames', [1, 2, 3, 8])
@pytest.mark.parametrize('clips', [1, 3])
@pytest.mark.parametrize('memory', [torch.contiguous_format, torch.channels_last_3d])
def test_convolutions(kernel, stride, frames, clips, memory):
    agrees(kernel, stride, (clips, 5, frames, 9, 10), memory)


@pytest.mark.parametrize('kernel', KERNELS)
@pytest.mark.parametrize('frames', [1, 2])
def test_more_weights_than_activations(kernel, frames):
    """Which are copied to the usual memory, and back."""
    y = agrees(kernel, (1, 1, 1), (1, 5, frames, 2, 2), torch.channels_last_3d)
    assert y.is_contiguous(memory_format=torch.channels_last_3d)


def agrees(kernel, stride, shape, memory):
    """See that a convolution and its gradients are PyTorch's, and return its output."""
    torch.manual_seed(0)
    module = conv(kernel, stride)
    x = torch.randn(shape, dtype=torch.double, requires_grad=True)
    y = module(x.contiguous(memory_format=memory))
    expected = F.conv3d(x, module.weight, None, stride, KERNELS[kernel][1])
    torch.testing.assert_close(y, expected)
    gradient = torch.randn_like(y)
    ours = torch.autograd.grad(y, (x, module.weight), gradient)
    theirs = torch.autograd.grad(expected, (x, module.weight), gradient)
    torch.testing.assert_close(ours, theirs)
    return y


@pytest.mark.parametrize('capability', ['AVX2', 'AVX512'])
@pytest.mark.parametrize('clips', [1, 2])
@pytest.mark.parametrize('name', [*(n for n in list_models() if '18' in n), 'r2plus1d_34'])
def test_networks(name, clips, capability, plainly, monkeypatch):
    """Their outputs, with norms folded, and their gradients.

    In evaluation: batch norm's own gradients of small batches are differences
    of large numbers.
    """
    monkeypatch.setattr(layers, 'cpu_capability', lambda: capability)
    torch.manual_seed(0)
    model = create_model(name, 7, clip_len=8, base_channels=8)
    model(torch.randn(4, 3, 8, 56, 56))  # gives the norms statistics
    model.eval()
    x = torch.randn(clips, 3, 8, 56, 56)
    with torch.no_grad():
        torch.testing.assert_close(model(x), plainly(model, x), rtol=1e-4, atol=1e-5)
    ours, theirs = gradients(model, model, x), gradients(model, partial(plainly, model), x)
    for key, gradient in theirs.items():
        assert F.cosine_similarity(ours[key], gradient, dim=0) > 0.999, key


def gradients(model, run, x):
    """Gradients of all parameters, flat, by name."""
    model.zero_grad()
    run(x).float().square().sum().backward()
    return {key: value.grad.flatten().clone() for key, value in model.named_parameters()}


def test_channels_last_from_end_to_end():
    """A network has its activations in channels-last memory from the first to the last layer."""
    model = create_model('r2plus1d_18', base_channels=8).eval()
    seen = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, args, out: seen.append(out))
    for clips in (1, 2):
        with torch.no_grad():
            model(torch.randn(clips, 3, 8, 56, 56))
    assert len(seen) == 2 * 34
    for out in seen:
        c, _, h, w = out.shape[1:]
        wanted = {2: h * w * c, 3: w * c, 4: c, 1: 1}
        assert all(out.stride(d) == s for d, s in wanted.items() if out.shape[d] > 1)


def test_hooks_see_convolutions_and_norms():
    model = create_model('mc3_18', base_channels=4).eval()
    block, seen = model.backbone.layer1[0], []
    for module in (block.conv1[0], block.conv1[1]):
        module.register_forward_hook(lambda m, args, out: seen.append(type(m).__name__))
    with torch.no_grad():
        model(torch.randn(1, 3, 8, 32, 32))
    assert seen == ['Conv3D', 'BatchNorm3d']


def test_other_norms(plainly):
    """Which cannot be folded."""
    norm_cfg = dict(type='IN3d', affine=True)
    model = create_model('r2plus1d_18', 7, base_channels=8, norm_cfg=norm_cfg).eval()
    x = torch.randn(1, 3, 8, 64, 64)
    features = torch.nn.Sequential(*model.backbone.groups[:3])
    with torch.no_grad():
        torch.testing.assert_close(features(x), plainly(features, x), rtol=1e-3, atol=1e-4)


def test_weights_may_change_between_calls(plainly):
    """Nothing is kept from one call to the next, so weights may change in any way."""
    model = create_model('r3d_18', 7, base_channels=8).eval()
    x = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        model(x)
        model.backbone.stem[0].weight.data.mul_(2)
        model.backbone.stem[1].running_mean.data.add_(0.1)
        torch.testing.assert_close(model(x), plainly(model, x), rtol=1e-4, atol=1e-5)


def test_backward_writes_where_it_may():
    """With glibc checking its heap.

    torch 2.13 destroys it on CPUs with AVX-512 in the weight gradient of a
    strided 1 x 1 convolution of fewer than 16 channels::

        x = torch.randn(16, 4, 56, 56).contiguous(memory_format=torch.channels_last)
        w = torch.randn(8, 4, 1, 1, requires_grad=True)
        torch.nn.functional.conv2d(x, w, stride=2).sum().backward()
    """
    code = """
import torch
from r21d_plugin import create_model
torch.set_num_threads(1)
for name in ('r2plus1d_18', 'mc4_18'):
    model = create_model(name, 5, base_channels=4)
    for _ in range(3):
        model(torch.randn(2, 3, 8, 112, 112)).sum().backward()
"""
    env = os.environ | {'MALLOC_CHECK_': '3', 'PYTHONWARNINGS': 'ignore'}
    result = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


def test_exporters_see_3d_convolutions():
    model = create_model('r2plus1d_18', base_channels=4).eval()
    clips = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        program = torch.export.export(model, (clips,))
        traced = torch.jit.trace(model, clips)
    called = [str(node.target) for node in program.graph.nodes if node.op == 'call_function']
    convolutions = sum(isinstance(module, nn.Conv3d) for module in model.modules())
    assert sum('conv3d' in name for name in called) == convolutions
    assert not any('conv2d' in name for name in called)
    kinds = {node.kind() for node in traced.inlined_graph.nodes()}
    assert 'aten::conv2d' not in kinds


@pytest.mark.parametrize(('capability', 'in_training'), [('AVX2', 17), ('AVX512', 17 + 17 + 3)])
def test_training_without_avx512_is_in_2d_over_time_alone(capability, in_training, monkeypatch):
    """The temporal halves, and with AVX-512 the spatial halves and shortcuts too."""
    monkeypatch.setattr(layers, 'cpu_capability', lambda: capability)
    called = []
    conv2d = F.conv2d
    monkeypatch.setattr(F, 'conv2d', lambda *args: called.append(1) or conv2d(*args))
    model = create_model('r2plus1d_18', base_channels=4)
    clips = torch.randn(1, 3, 8, 32, 32)
    model(clips).sum().backward()
    assert len(called) == in_training
    called.clear()
    with torch.no_grad():
        model.eval()(clips)
    assert len(called) == 17 + 17 + 3


def test_norms_are_folded_where_that_pays(monkeypatch):
    """In evaluation, where a convolution has fewer weights than its input numbers."""
    model = create_model('r3d_18', base_channels=8)
    clips = torch.randn(2, 3, 8, 56, 56)
    model(clips)
    computed = set()
    forward = nn.BatchNorm3d.forward
    monkeypatch.setattr(
        nn.BatchNorm3d, 'forward', lambda self, x: computed.add(self) or forward(self, x)
    )
    norms = {module for module in model.modules() if isinstance(module, nn.BatchNorm3d)}
    model(clips)
    assert computed == norms
    computed.clear()
    with torch.no_grad():
        model.eval()(clips)
    assert computed.isdisjoint(model.backbone.layer1.modules())
    assert computed <= set(model.backbone.layer4.modules()) | set(model.backbone.layer3.modules())
    assert computed

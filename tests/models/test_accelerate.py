"""Accelerated networks, compared with plain ones."""

import os
import subprocess
import sys
import weakref
from copy import deepcopy
from itertools import cycle, islice
from random import Random

import pytest
import torch
import torch.nn.functional as F
from support import needs_torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from r21d_plugin import accelerate, create_model, list_models
from r21d_plugin._norm_eps import set_norm_eps
from r21d_plugin.models.blocks import ResidualBlock

KERNELS = {
    'frames': ((1, 3, 3), (0, 1, 1)),
    'time': ((3, 1, 1), (1, 0, 0)),
    'shortcut': ((1, 1, 1), (0, 0, 0)),
    'all': ((3, 3, 3), (1, 1, 1)),
    'conv1': ((3, 7, 7), (1, 3, 3)),
}


@pytest.fixture(autouse=True)
def avx512(monkeypatch):
    """Use the 2D form for gradients also on a CPU that has only AVX2."""
    monkeypatch.setattr(sys.modules[accelerate.__module__], 'cpu_capability', lambda: 'AVX512')


def conv(kernel, stride):
    size, padding = KERNELS[kernel]
    return accelerate(nn.Conv3d(5, 6, size, stride, padding, bias=False).double())


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
    """The activations are copied to contiguous memory and back."""
    y = agrees(kernel, (1, 1, 1), (1, 5, frames, 2, 2), torch.channels_last_3d)
    assert y.is_contiguous(memory_format=torch.channels_last_3d)


def agrees(kernel, stride, shape, memory):
    """Check that a convolution and its gradients equal PyTorch's; return its output."""
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
@pytest.mark.parametrize('name', [*list_models(18), 'r2plus1d_34', 'r2plus1d_50', 'mc3_26'])
def test_networks(name, clips, capability, monkeypatch):
    """Their outputs, with norms folded, and their gradients.

    In evaluation: batch norm's own gradients of small batches are differences
    of large numbers.
    """
    monkeypatch.setattr(sys.modules[accelerate.__module__], 'cpu_capability', lambda: capability)
    model, fast = pair(name, clip_len=8)
    x = torch.randn(clips, 3, 8, 56, 56)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
    ours, theirs = gradients(fast, x), gradients(model, x)
    for key, gradient in theirs.items():
        assert F.cosine_similarity(ours[key], gradient, dim=0) > 0.999, key
        assert (ours[key] - gradient).norm() <= 0.05 * gradient.norm(), key


def pair(name, **kwargs):
    """Build a network in evaluation mode whose norms have statistics, and its accelerated copy."""
    torch.manual_seed(0)
    model = create_model(name, 7, base_channels=8, **kwargs)
    model(torch.randn(4, 3, 8, 56, 56))
    model.eval()
    return model, accelerate(deepcopy(model))


def gradients(model, x):
    """Return the gradients of all parameters, flattened, by name."""
    model.zero_grad()
    model(x).float().square().sum().backward()
    return {key: value.grad.flatten().clone() for key, value in model.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize('accelerated', [False, True])
def test_gradients_of_any_shape(accelerated):
    """PyTorch's batch norm has wrong gradients where strides of axes of size 1 are odd.

    The last norm of a block and that of its shortcut are added, so their biases have one gradient.
    """
    torch.manual_seed(0)
    rng = Random(0)
    for name in islice(cycle([*list_models(18), *list_models(26)]), 300):
        frames, width = rng.choice([4, 8, 16]), rng.choice([4, 8])
        dtype = rng.choice([torch.float32, torch.float64])
        model = create_model(name, 5, clip_len=frames, base_channels=width).to(dtype)
        if accelerated:
            accelerate(model)
        sides = [rng.choice([14, 16, 28, 32, 48]) for _ in range(2)]
        clips = rng.choice([1, 2, 3]) if max(sides) > 16 else rng.choice([2, 3])  # norms need two
        x = torch.randn(clips, 3, frames, *sides, dtype=dtype)
        out = model(x)
        (out * torch.randn_like(out)).sum().backward()
        for block in (m for m in model.modules() if isinstance(m, ResidualBlock)):
            if isinstance(block.downsample, nn.Sequential):
                last = [m for m in block.children() if isinstance(m, nn.Sequential)][-2]
                ours, theirs = last[-1].bias.grad, block.downsample[-1].bias.grad
                rounding = 64 * torch.finfo(dtype).eps * theirs.norm()
                assert (ours - theirs).norm() <= rounding, (name, dtype, x.shape)


def test_names_values_and_hooks_stay():
    model, fast = pair('r2plus1d_18')
    assert list(fast.state_dict()) == list(model.state_dict())
    seen = []
    for network in (model, fast):
        for module in (network.stem, network.layer2[0], network.layer3):
            module.register_forward_hook(lambda m, args, out: seen.append(out))
    with torch.no_grad():
        model(x := torch.randn(2, 3, 8, 32, 32)), fast(x)
    for plain, accelerated in zip(seen[:3], seen[3:]):
        torch.testing.assert_close(accelerated, plain, rtol=1e-4, atol=1e-5)


def test_a_hooked_convolution_is_not_folded():
    """A hook on a (2+1)D convolution is one on its last half, too."""
    for name in ('r3d_18', 'r2plus1d_18'):
        check_hooked_convolution(*pair(name))


def check_hooked_convolution(model, fast):
    seen = []
    for network in (model, fast):
        network.layer1[0].conv1[0].register_forward_hook(lambda m, args, out: seen.append(out))
    with torch.no_grad():
        model(x := torch.randn(2, 3, 8, 32, 32)), fast(x)
    torch.testing.assert_close(seen[1], seen[0], rtol=1e-4, atol=1e-5)


def test_shallow_copies_are_not_folded():
    """As those of DataParallel: they share everything with the network but their weights."""
    model, fast = pair('r3d_18')
    sources = fast.layer1[0].conv1[:2]
    copies = [source._replicate_for_data_parallel() for source in sources]
    for source, copied in zip(sources, copies):
        for name in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'):
            setattr(copied, name, getattr(source, name, None))
    with torch.no_grad():
        x = model.stem(torch.randn(2, 3, 8, 32, 32))
        expected = model.layer1[0].conv1[:2](x)
        torch.testing.assert_close(copies[1](copies[0](x)), expected, rtol=1e-4, atol=1e-5)


def test_a_parameter_as_input():
    """The first convolution does not fold, so its norm has to normalise."""
    model, fast = pair('r3d_18')
    x = nn.Parameter(torch.randn(2, 3, 8, 32, 32))
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)


@needs_torch('compiler.disable')
def test_a_norm_compiled_without_its_convolution():
    """As where hooks break the graph so often that the compiler gives up on convolutions."""
    model, fast = pair('r3d_18')
    fast.stem[0].forward = torch.compiler.disable(fast.stem[0].forward)
    x = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        found = torch.compile(fast.stem, backend='eager')(x)
        torch.testing.assert_close(found, model.stem(x), rtol=1e-4, atol=1e-5)


def test_replaced_modules_are_not_folded():
    """Copies, fused layers and wrappers give the same results as in the plain network."""
    model, fast = pair('r3d_18')
    x = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        expected = model(x)
        block = deepcopy(fast).eval().layer1[0]
        fused = deepcopy(fast).eval()
        fused.layer1[0].conv1[0] = fuse_conv_bn_eval(block.conv1[0], block.conv1[1])
        fused.layer1[0].conv1[1] = nn.Identity()
        torch.testing.assert_close(fused(x), expected, rtol=1e-4, atol=1e-5)
        fast.layer1[0].conv1[0] = nn.Sequential(fast.layer1[0].conv1[0])
        torch.testing.assert_close(fast(x), expected, rtol=1e-4, atol=1e-5)


class Activated(nn.Sequential):
    """A sequence with an activation between its convolution and its norm."""

    def forward(self, x):
        return self[1](self[0](x).relu())


def shared_activation(conv, norm):
    relu = nn.ReLU()
    return nn.Sequential(nn.Conv3d(4, 4, 1), relu, conv, relu, norm)


def shared_convolution(conv, norm):
    return nn.Sequential(nn.Sequential(conv, norm), nn.Sequential(conv, nn.BatchNorm3d(4)))


def shared_sequence(conv, norm):
    inner = nn.Sequential(conv)
    return nn.Sequential(nn.Sequential(inner, norm), nn.Sequential(inner, nn.BatchNorm3d(4)))


@pytest.mark.parametrize(
    'build', [Activated, shared_activation, shared_convolution, shared_sequence]
)
def test_only_norms_right_after_their_convolution_are_folded(build):
    torch.manual_seed(0)
    model = build(nn.Conv3d(4, 4, 1, bias=False), nn.BatchNorm3d(4))
    model(x := torch.randn(4, 4, 2, 8, 8))
    fast = accelerate(deepcopy(model.eval()))
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)


def test_channels_last_from_end_to_end():
    """Activations are in channels-last memory from the first to the last layer."""
    model = accelerate(create_model('r2plus1d_18', base_channels=8)).eval()
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


def test_other_norms():
    """Norms other than batch norm cannot be folded."""
    norm_cfg = dict(type='IN3d', affine=True)
    model = create_model('r2plus1d_18', 7, base_channels=8, norm_cfg=norm_cfg).eval()
    x = torch.randn(1, 3, 8, 64, 64)
    fast = accelerate(deepcopy(model))
    with torch.no_grad():
        ours, theirs = (nn.Sequential(*m.groups[:3])(x) for m in (fast, model))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_norms_without_statistics():
    norm_cfg = dict(type='BN3d', track_running_stats=False)
    model = create_model('r3d_18', 7, base_channels=8, norm_cfg=norm_cfg).eval()
    x = torch.randn(2, 3, 8, 64, 64)
    with torch.no_grad():
        theirs = model(x)
        torch.testing.assert_close(accelerate(model)(x), theirs, rtol=1e-3, atol=1e-4)


def test_weights_may_change_between_calls():
    model, fast = pair('r3d_18')
    x = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        fast(x)
        for network in (model, fast):
            network.stem[0].weight.mul_(2)
            network.stem[1].running_mean.add_(0.1)
            network.layer1[0].conv1[0].weight.data = 3 * network.layer1[0].conv1[0].weight.data
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
        for network in (model, fast):  # as MMEngine's EMAHook swaps weights
            network.stem[0].weight.data.mul_(-1)
            network.train()
            network.eval()
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
        for network in (model, fast):
            set_norm_eps(network, 0.1)
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
        with torch.autocast('cpu', torch.bfloat16):
            fast(x)
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)
    model.double(), fast.double()
    with torch.no_grad():
        torch.testing.assert_close(fast(x.double()), model(x.double()))


@needs_torch('func.functional_call')
def test_folded_weights_keep_their_sources():
    """Otherwise a new tensor may get the address of a freed one, whose weights were folded."""
    _, fast = pair('r3d_18')
    name = 'layer1.0.conv1.0.weight'
    weight = fast.get_parameter(name) * 2
    alive = weakref.ref(weight)
    with torch.no_grad():
        torch.func.functional_call(fast, {name: weight}, (torch.randn(1, 3, 8, 32, 32),))
    del weight
    assert alive() is not None


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
from r21d_plugin import accelerate, create_model
torch.set_num_threads(1)
for name in ('r2plus1d_18', 'mc4_18'):
    model = accelerate(create_model(name, 5, base_channels=4))
    for _ in range(3):
        model(torch.randn(2, 3, 8, 112, 112)).sum().backward()
"""
    env = dict(os.environ, MALLOC_CHECK_='3', PYTHONWARNINGS='ignore')
    result = subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


@needs_torch('export.Dim')
def test_exporters_see_3d_convolutions():
    model = accelerate(create_model('r2plus1d_18', base_channels=4)).eval()
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


def test_weights_of_inference_mode_are_folded_each_time():
    """PyTorch does not count changes of tensors of inference mode."""
    with torch.inference_mode():
        model, fast = (create_model('r3d_18', 7, base_channels=8).eval() for _ in range(2))
        fast.load_state_dict(model.state_dict())
        accelerate(fast)
        x = torch.randn(2, 3, 8, 32, 32)
        fast(x)
        for network in (model, fast):
            network.stem[0].weight.mul_(2)
        torch.testing.assert_close(fast(x), model(x), rtol=1e-4, atol=1e-5)

"""The depths that the authors' release adds to the paper's, with bottlenecks."""

import pytest
import torch
from support import needs_torch
from torch import nn

from r21d_plugin import create_model, list_models
from r21d_plugin.models import MCx, R2Plus1D, factorized_channels
from r21d_plugin.models.blocks import BasicBlock, Bottleneck
from r21d_plugin.models.video_resnet import DEPTHS

IMAGE_RESNETS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
"""Parameters of torchvision's ResNets for images, of 1000 classes."""

BLOCKS = (3, 4, 6, 3)
"""Of conv2_x to conv5_x at 50 layers, each with one 3x3x3 convolution of WIDTHS channels."""
WIDTHS = (64, 128, 256, 512)

SPATIOTEMPORAL = {  # groups of 3D convolutions: 1 for conv1, 2 for conv2_x and so on
    'fr2d': (),
    'r3d': (1, 2, 3, 4, 5),
    **{f'mc{x}': tuple(range(1, x)) for x in range(2, 6)},
    **{f'rmc{x}': tuple(range(x, 6)) for x in range(2, 6)},
}


on_meta = needs_torch('set_default_device')
"""For tests that build networks on the meta device."""


def count(name, **kwargs):
    with torch.device('meta'):
        return sum(p.numel() for p in create_model(name, 400, **kwargs).parameters())


def image_resnet(depth):
    """Return the parameters of an image ResNet with 400 classes, which f-R2D has too."""
    features = 512 if depth < 50 else 2048
    return IMAGE_RESNETS[depth] - 600 * (features + 1)


@on_meta
@pytest.mark.parametrize('depth', IMAGE_RESNETS)
def test_f_r2d_has_the_parameters_of_the_image_resnet(depth):
    assert count(f'fr2d_{depth}') == image_resnet(depth)


@on_meta
@pytest.mark.parametrize('family', SPATIOTEMPORAL)
def test_each_spatiotemporal_group_adds_two_taps(family):
    added = [2 * 49 * 3 * 64, *(2 * 9 * w * w * n for w, n in zip(WIDTHS, BLOCKS))]
    expected = image_resnet(50) + sum(added[group - 1] for group in SPATIOTEMPORAL[family])
    assert count(f'{family}_50') == expected


@on_meta
def test_r2d_and_r2plus1d_of_50_layers():
    assert count('r2d_50', clip_len=8) == image_resnet(50) + 7 * 49 * 3 * 64
    conv1 = 45 * (49 * 3 + 2 + 3 * 64) - 49 * 3 * 64
    expected = image_resnet(50) + conv1
    for width, blocks in zip(WIDTHS, BLOCKS):
        mid = factorized_channels(width, width)
        assert mid == 9 * width // 4
        expected += blocks * (mid * (9 * width + 2 + 3 * width) - 9 * width * width)
    assert count('r2plus1d_50') == expected == 46_985_057


@on_meta
def test_r2plus1d_152_is_the_published_network():
    """The authors count 118.0M weights of convolutions and classifier."""
    with torch.device('meta'):
        model = create_model('r2plus1d_152', 400)
    assert sum(p.numel() for p in model.parameters()) == 118_226_785
    layers = (m for m in model.modules() if isinstance(m, (nn.Conv3d, nn.Linear)))
    counted = sum(m.weight.numel() for m in layers)
    assert f'{counted / 1e6:.1f}' == '118.0'


@needs_torch('utils.flop_counter.FlopCounterMode')
@pytest.mark.parametrize(
    ('name', 'frames', 'size', 'gflops'),
    [
        ('r2plus1d_152', 32, 128, '329.1'),
        ('r2plus1d_34', 32, 128, '199.0'),
        ('r2plus1d_152', 32, 112, '252.0'),
    ],
)
def test_multiply_adds(name, frames, size, gflops):
    """The first two are published for 32 x 112 x 112. At 128, a max-pool would give 83.8."""
    from tools.complexity import measure

    assert f'{measure(name, frames, size).gflops:.1f}' == gflops


@pytest.mark.parametrize('depth', DEPTHS)
def test_layers_and_features(depth):
    model = create_model(f'r3d_{depth}', 5, base_channels=4)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv3d)]
    shortcuts = sum(isinstance(m, nn.Conv3d) for b in blocks_of(model) for m in b.downsample)
    assert len(convs) - shortcuts + 1 == depth, 'with the classifier'
    assert model.num_features == model.fc.in_features == (32 if depth < 50 else 128)
    kinds = {type(block) for layer in model.groups[1:] for block in layer}
    assert kinds == {BasicBlock if depth in (18, 34) else Bottleneck}
    assert not any(isinstance(m, nn.MaxPool3d) for m in model.modules())


def blocks_of(model):
    """Return the blocks whose shortcut is a projection."""
    blocks = [block for layer in model.groups[1:] for block in layer]
    return [b for b in blocks if isinstance(b.downsample, nn.Sequential)]


def test_key_names_are_torchvisions():
    keys = R2Plus1D(50, base_channels=4).state_dict().keys()
    block = {key[9:] for key in keys if key.startswith('layer1.0.') and 'num_batches' not in key}
    norm = ('weight', 'bias', 'running_mean', 'running_var')
    expected = {'conv1.0.weight', 'conv2.0.0.weight', 'conv2.0.3.weight', 'conv3.0.weight'}
    expected.add('downsample.0.weight')
    for name in ('conv1.1', 'conv2.0.1', 'conv2.1', 'conv3.1', 'downsample.1'):
        expected |= {f'{name}.{kind}' for kind in norm}
    assert block == expected
    assert not any(key.startswith('layer1.1.downsample') for key in keys)


def test_the_middle_convolution_has_form_and_stride():
    net = MCx(50, x=4, base_channels=4)
    block = net.layer2[0]
    assert [m[0].kernel_size for m in (block.conv1, block.conv2, block.conv3)] == [
        (1, 1, 1),
        (3, 3, 3),
        (1, 1, 1),
    ]
    assert [m[0].stride for m in (block.conv1, block.conv2, block.conv3)] == [
        (1, 1, 1),
        (2, 2, 2),
        (1, 1, 1),
    ]
    assert block.downsample[0].stride == (2, 2, 2)
    block = net.layer3[0]
    assert (block.conv2[0].kernel_size, block.conv2[0].stride) == ((1, 3, 3), (1, 2, 2))
    assert block.downsample[0].stride == (1, 2, 2)


def test_a_block_by_hand():
    """The last ReLU follows the sum; the last convolution has no ReLU of its own."""
    torch.manual_seed(0)
    block = create_model('r2plus1d_50', 5, base_channels=4).eval().layer2[0]
    x = torch.randn(2, 16, 4, 6, 6)
    with torch.no_grad():
        y = block.conv1[1](block.conv1[0](x)).relu()
        spatial, norm, relu, temporal = block.conv2[0]
        y = block.conv2[1](temporal(relu(norm(spatial(y))))).relu()
        y = block.conv3[1](block.conv3[0](y)) + block.downsample(x)
        torch.testing.assert_close(block(x), y.relu())
    assert (y < 0).any()


def test_mid_channels():
    own, by_block = R2Plus1D(50), R2Plus1D(50, midplanes='block')
    for net, mids in ((own, [144, 144, 288]), (by_block, [144, 177, 329])):
        blocks = (net.layer1[0], net.layer1[1], net.layer2[0])
        assert [b.conv2[0][0].out_channels for b in blocks] == mids


@pytest.mark.parametrize('depth', [26, 50])
def test_groups(depth):
    widening = {26: 1, 50: 4}[depth]
    net = create_model(
        f'r2plus1d_{depth}', features_only=True, out_indices=(0, 2, 3), base_channels=4
    )
    shapes = [tuple(f.shape[1:]) for f in net(torch.randn(1, 3, 8, 32, 32))]
    times = [(4, 8, 16, 16), (16, 2, 4, 4), (32, 1, 2, 2)]
    assert shapes == [(widening * channels, *size) for channels, *size in times]


def test_frozen_stages():
    net = R2Plus1D(50, base_channels=4, frozen_stages=2)
    net(torch.randn(2, 3, 8, 32, 32)).sum().backward()
    for name, parameter in net.named_parameters():
        assert (parameter.grad is None) == name.startswith(('stem', 'layer1', 'layer2'))


def test_every_depth_has_the_twelve_networks():
    families = {name.rpartition('_')[0] for name in list_models(18)}
    for depth in DEPTHS:
        assert {name.rpartition('_')[0] for name in list_models(depth)} == families

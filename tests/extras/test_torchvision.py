"""The networks, compared with those of torchvision that have the same weights."""

import copy

import pytest
import torch
from torch import nn

pytest.importorskip('torchvision', reason="needs the extra 'pytorchvideo'")

from torchvision.models import get_model_weights, video
from torchvision.models.video.resnet import (
    BasicBlock,
    BasicStem,
    Bottleneck,
    Conv2Plus1D,
    Conv3DNoTemporal,
    Conv3DSimple,
    R2Plus1dStem,
    VideoResNet,
)

from r21d_plugin import create_model
from r21d_plugin.weights import find_weights
from r21d_plugin.weights.public import kinetics_400
from tools.convert_weights import convert

BLOCKWISE = {name: dict(midplanes='block') for name in ('r2plus1d_18', 'r2plus1d_50')}


def as_trained(model: nn.Module) -> nn.Module:
    """Give batch norm statistics that keep activations in range, as training does."""
    torch.manual_seed(0)
    clips = torch.rand(4, 3, 8, 56, 56)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    with torch.no_grad():
        model.train()(clips)
    return model.eval()


def r2plus1d_34() -> nn.Module:
    """As ig65m-pytorch builds it: torchvision's, with the mid channels and epsilon of Caffe2."""
    model = VideoResNet(BasicBlock, [Conv2Plus1D] * 4, [3, 4, 6, 3], R2Plus1dStem, num_classes=359)
    for layer, channels, mid in (('layer2', 128, 288), ('layer3', 256, 576), ('layer4', 512, 1152)):
        model.get_submodule(f'{layer}.0.conv2')[0] = Conv2Plus1D(channels, channels, mid)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.eps = 1e-3
    return model


def bottlenecks(convs: list, stem: type) -> nn.Module:
    """50 layers of torchvision's own blocks."""
    return VideoResNet(Bottleneck, convs, [3, 4, 6, 3], stem)


PEERS = {
    'r3d_18': video.r3d_18,
    'mc3_18': video.mc3_18,
    'r2plus1d_18': video.r2plus1d_18,
    'r2plus1d_34': r2plus1d_34,
    'r2plus1d_50': lambda: bottlenecks([Conv2Plus1D] * 4, R2Plus1dStem),
    'mc3_50': lambda: bottlenecks([Conv3DSimple] + [Conv3DNoTemporal] * 3, BasicStem),
}


@pytest.fixture(params=PEERS)
def peer(request, tmp_path):
    """Return a network of torchvision, its name, and its state dict as published."""
    torch.manual_seed(0)
    model = as_trained(PEERS[request.param]())
    torch.save(model.state_dict(), tmp_path / 'theirs.pth')
    return request.param, model, tmp_path / 'theirs.pth'


def assert_same_numbers(ours: nn.Module, theirs: nn.Module) -> None:
    """Compare with torchvision's float64 result; allow five times its own float32 rounding."""
    torch.manual_seed(1)
    clips = torch.rand(2, 3, 8, 56, 56)
    with torch.no_grad():
        exact = copy.deepcopy(theirs).double()(clips.double())
        own, rounding = ((net.eval()(clips) - exact).abs().max() for net in (ours, theirs))
    assert exact.std() > 0.1
    assert own < 5 * rounding < 1e-2 * exact.abs().max()


def test_their_weights_in_ours(peer):
    name, theirs, path = peer
    classes = theirs.fc.out_features
    ours = create_model(name, classes, weights=str(path), **BLOCKWISE.get(name, {}))
    assert_same_numbers(ours, theirs)


def test_our_weights_in_theirs(peer, tmp_path):
    """And the reverse, through converted files."""
    name, theirs, path = peer
    convert(str(path), tmp_path / 'ours.pth', 'r21d')
    convert(str(tmp_path / 'ours.pth'), tmp_path / 'back.pth', 'torchvision')
    arguments = dict(num_classes=theirs.fc.out_features, **BLOCKWISE.get(name, {}))
    ours = create_model(name, weights=str(tmp_path / 'ours.pth'), **arguments)
    assert_same_numbers(ours, theirs)
    for parameter in theirs.parameters():
        nn.init.zeros_(parameter)
    theirs.load_state_dict(torch.load(tmp_path / 'back.pth', weights_only=True))
    assert_same_numbers(ours, theirs)


def test_categories_are_theirs():
    assert kinetics_400() == video.R3D_18_Weights.KINETICS400_V1.meta['categories']


@pytest.mark.parametrize('name', ['r3d_18', 'mc3_18', 'r2plus1d_18'])
def test_public_weights_have_the_published_metadata(name):
    theirs = get_model_weights(name).KINETICS400_V1
    ours = find_weights(name, 'torchvision_kinetics_16f')
    assert ours.url == theirs.url
    accuracy = theirs.meta['_metrics']['Kinetics-400']
    assert ours.metrics == {'video@1': accuracy['acc@1'], 'video@5': accuracy['acc@5']}
    torch.testing.assert_close(
        torch.tensor(ours.mean) / 255, torch.tensor(theirs.transforms().mean), rtol=1e-4, atol=0
    )

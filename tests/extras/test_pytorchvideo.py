"""The networks as PyTorchVideo's Net, and the example that trains one on its datasets."""

from __future__ import annotations

import copy
import re
import runpy
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from support import ROOT, shell, write_video
from torch import nn

pytest.importorskip('pytorchvideo', reason="needs the extra 'pytorchvideo'")

import pytorchvideo.accelerator.deployment.mobile_cpu.transmuter  # noqa: F401, registers itself
from pytorchvideo.accelerator.deployment.common.model_transmuter import transmute_model
from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
    convert_to_deployable_form,
)
from pytorchvideo.models.head import ResNetBasicHead, create_res_basic_head
from pytorchvideo.models.net import Net

from r21d_plugin import InputError, create_model, load_weights
from r21d_plugin.models import VideoResNet
from r21d_plugin.pytorchvideo import (
    create_fr2d,
    create_mcx,
    create_r2d,
    create_r2plus1d,
    create_r3d,
    create_rmcx,
    state_dict_from_net,
    state_dict_to_net,
)

BUILDERS = {
    'r2d_18': create_r2d,
    'fr2d_18': create_fr2d,
    'mc3_18': partial(create_mcx, x=3),
    'rmc4_18': partial(create_rmcx, x=4),
    'r3d_18': create_r3d,
    'r2plus1d_18': create_r2plus1d,
    'r2plus1d_34': partial(create_r2plus1d, model_depth=34),
    'r2plus1d_50': partial(create_r2plus1d, model_depth=50),
}
NARROW = dict(stem_dim_out=8, model_num_class=5)
CLIPS = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=BUILDERS)
def twins(request) -> tuple[VideoResNet, Net]:
    """A network in both forms, with the same weights."""
    model = create_model(request.param, num_classes=5, base_channels=8)
    model(CLIPS)  # gives batch norm statistics
    net = BUILDERS[request.param](**NARROW)
    net.load_state_dict(state_dict_to_net(model.state_dict()))
    return model.eval(), net.eval()


@torch.no_grad()
def test_same_outputs(twins):
    model, net = twins
    assert type(net) is Net
    assert isinstance(net.blocks[5], ResNetBasicHead)
    assert torch.equal(net(CLIPS), model(CLIPS))


def test_state_dicts_move_without_loss(twins):
    model, net = twins
    ours, theirs = model.state_dict(), net.state_dict()
    assert_same(state_dict_to_net(ours), theirs)
    assert_same(state_dict_from_net(theirs), ours)


def test_state_dicts_keep_the_epsilon():
    norm_cfg = dict(type='BN3d', eps=1e-5)
    model = create_model('r3d_18', num_classes=5, base_channels=8, norm_cfg=norm_cfg)
    net = create_r3d(**NARROW)
    net.load_state_dict(state_dict_to_net(model.state_dict()))
    assert net.blocks[0][1].eps == 1e-5
    other = create_model('r3d_18', num_classes=5, base_channels=8)
    other.load_state_dict(state_dict_from_net(net.state_dict()))
    assert other.stem[1].eps == 1e-5


def assert_same(a, b):
    assert list(a) == list(b)
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_both_load_checkpoints_of_each_other(twins, tmp_path, request):
    model, net = twins
    name = request.node.callspec.params['twins']
    for trained in twins:
        weights = str(tmp_path / 'trained.pth')
        torch.save(trained.state_dict(), weights)
        assert_same(BUILDERS[name](**NARROW, weights=weights).state_dict(), net.state_dict())
        loaded = create_model(name, num_classes=5, base_channels=8, weights=weights)
        assert_same(loaded.state_dict(), model.state_dict())


@torch.no_grad()
def test_weights_by_torchvisions_names(tmp_path):
    """Into a Net that is there; batch norm gets their epsilon, and the Net's weights keep it."""
    norm = dict(type='BN3d', eps=1e-5)
    arguments = dict(num_classes=5, base_channels=8, midplanes='block')
    model = create_model('r2plus1d_18', **arguments, norm_cfg=norm)
    model(CLIPS)
    torch.save(dict(model.state_dict()), tmp_path / 'theirs.pth')
    net = create_r2plus1d(**NARROW, midplanes='block')
    load_weights(net, tmp_path / 'theirs.pth', head='required')
    assert torch.equal(net.eval()(CLIPS), model.eval()(CLIPS))
    torch.save(net.state_dict(), tmp_path / 'ours.pth')
    loaded = create_model('r2plus1d_18', weights=tmp_path / 'ours.pth', base_channels=8)
    assert torch.equal(loaded.eval()(CLIPS), model(CLIPS))
    other = create_r2plus1d(**NARROW, midplanes='block', norm_cfg=dict(norm, eps=1e-2))
    load_weights(other, tmp_path / 'theirs.pth')
    assert other.blocks[0][1].eps == 1e-2


def test_initialised_as_in_the_paper():
    net = create_r2plus1d()
    conv = net.blocks[3][0].conv2[0][0]
    fan_out = conv.out_channels * 3 * 3
    assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)
    head = net.blocks[5].proj
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert head.bias.eq(0).all()


@pytest.mark.parametrize(('midplanes', 'count'), [('layer', 33_370_839), ('block', 31_505_325)])
def test_parameters(midplanes, count):
    net = create_r2plus1d(midplanes=midplanes)
    assert sum(p.numel() for p in net.parameters()) == count


def test_clips_of_any_length():
    assert create_r3d(**NARROW).eval()(torch.randn(1, 3, 19, 40, 56)).shape == (1, 5)


def test_head_options():
    net = create_fr2d(**NARROW, dropout_rate=0.5, head_activation=nn.Softmax)
    assert net.blocks[5].dropout.p == 0.5
    assert net(CLIPS).sum(dim=1).tolist() == pytest.approx([1, 1])


def test_head_swap(twins):
    model, net = twins
    net.blocks[-1] = create_res_basic_head(
        in_features=model.num_features, out_features=3, pool=None, activation=nn.Softmax
    )
    net(CLIPS).sum().backward()
    assert net(CLIPS).shape == (2, 3)
    assert all(p.grad is not None for p in net.parameters())
    del net.blocks[-1]
    assert net(CLIPS).shape[:2] == (2, model.num_features)


@torch.no_grad()
def test_features(twins):
    model, net = twins
    features = nn.Sequential(*net.blocks[:-1])(CLIPS)
    assert torch.equal(features, model.forward_features(CLIPS))
    hooked = []
    net.blocks[4].register_forward_hook(lambda _module, _input, output: hooked.append(output))
    net(CLIPS)
    assert torch.equal(features, hooked[0])


@torch.no_grad()
def test_deployment(twins):
    _, net = twins
    mobile = copy.deepcopy(net)
    transmute_model(mobile, target_device='mobile_cpu')
    mobile = convert_to_deployable_form(mobile, CLIPS)
    spatial_or_temporal = [
        conv
        for conv in net.modules()
        if isinstance(conv, nn.Conv3d)
        and (conv.kernel_size[0] == 1 or conv.kernel_size == (3, 1, 1))
        and conv.stride[0] == 1
    ]
    converted = [m for m in mobile.modules() if getattr(m, 'convert_flag', False)]
    assert len(converted) == len(spatial_or_temporal)
    torch.testing.assert_close(torch.jit.trace(mobile, CLIPS, check_trace=False)(CLIPS), net(CLIPS))


def test_wrong_state_dicts():
    with pytest.raises(InputError, match=r'^blocks\.0\.0\.weight: no tensor of a model of create'):
        state_dict_to_net(create_r2plus1d(**NARROW).state_dict())
    with pytest.raises(InputError, match=r'^stem\.0\.weight: no tensor of a Net of'):
        state_dict_from_net(create_model('r2plus1d_18', base_channels=8).state_dict())


def test_arguments_that_only_a_backbone_supports():
    with pytest.raises(InputError, match=r'^frozen_stages: not supported by a Net'):
        create_r2plus1d(frozen_stages=2)
    with pytest.raises(InputError, match=r'^drop_rate: not supported by a Net'):
        create_r2plus1d(drop_rate=0.5)
    with pytest.raises(InputError, match=r'^model_num_class'):
        create_r2plus1d(model_num_class=0)


def test_unknown_networks():
    with pytest.raises(InputError, match=r"^no network 'mc7_18': choose from r2d_18, "):
        create_mcx(x=7)
    with pytest.raises(InputError, match=r"^no network 'r2plus1d_51': choose from r2d_18, "):
        create_r2plus1d(model_depth=51)


def test_not_installed(monkeypatch):
    for name in ('pytorchvideo', 'pytorchvideo.models.head'):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, 'r21d_plugin.pytorchvideo')
    with pytest.raises(InputError, match=r"pytorchvideo.*: pip install 'r21d_plugin\[pytorchvid"):
        import r21d_plugin.pytorchvideo  # noqa: F401


EXAMPLE = ROOT / 'examples/train_pytorchvideo.py'
SMALL = ['--width', '4', '--workers', '1', '--clips', '2', '--batch-size', '3']


@pytest.fixture(scope='module')
def folders(tmp_path_factory) -> Path:
    """Folders train and val of two classes with two videos each."""
    root = tmp_path_factory.mktemp('videos')
    for i, name in enumerate(('waving', 'arm wrestling')):
        for split in ('train', 'val'):
            (root / split / name).mkdir(parents=True)
            write_video(root / split / name / 'video 1.mp4', frames=12, seed=i)
            write_video(root / split / name / '2.avi', frames=40, seed=i, codec='XVID')
    return root


def test_example(folders):
    out = shell(
        sys.executable, EXAMPLE, 'train', 'val', *SMALL, '--epochs', 3, '--out', 'out/net.pth',
        cwd=folders,
    )  # fmt: skip
    assert re.search(r'^clip@1 \d+\.\d%, video@1 \d+\.0%: out/net\.pth$', out, re.MULTILINE)
    assert re.search(r'epoch 3: .*loss=\d', out)
    state_dict = torch.load(folders / 'out/net.pth')['state_dict']
    create_model('r2plus1d_18', 2, weights=str(folders / 'out/net.pth'), base_channels=4)
    steps_of_an_epoch = 2
    assert state_dict['stem.1.num_batches_tracked'] == 3 * steps_of_an_epoch


@pytest.fixture
def fails(folders, monkeypatch):
    """Run the example beside the folders; it must fail with one line, which is returned."""

    def run(*args: str) -> str:
        monkeypatch.chdir(folders)
        monkeypatch.setattr(sys, 'argv', ['train_pytorchvideo.py', *args, *SMALL])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(EXAMPLE), run_name='__main__')
        assert '\n' not in stop.value.code
        return stop.value.code

    return run


BAD_LISTS = {
    'missing': (None, r'no folder with a folder of \.mp4 or \.avi files .*: a\.txt not found'),
    'empty': ('', r'no folder .*, and no list of lines "path label": Failed to load'),
    'label': ('train/waving/2.avi one\n', r'no folder .*, and no list .*: invalid literal'),
    'no label': ('train/waving/2.avi\n', r'no label after train/waving/2\.avi'),
    'no video': ('nope.mp4 0\n', r'no such video: nope\.mp4'),
    'too many classes': ('train/waving/2.avi 2\n', r'label 2 is above all of train'),
    'broken video': ('a.txt 0\n', r'does not decode \(1 of 1 videos\): replace or remove it'),
}


@pytest.mark.parametrize(('lines', 'message'), BAD_LISTS.values(), ids=BAD_LISTS)
def test_example_names_what_is_wrong_with_a_list(fails, folders, lines, message):
    (folders / 'a.txt').unlink(missing_ok=True)
    if lines is not None:
        (folders / 'a.txt').write_text(lines)
    assert re.match(rf'error: a\.txt: {message}', fails('train', 'a.txt', '--epochs', '1'))


def test_example_names_a_class_of_one_folder(fails, folders):
    shutil.copytree(folders / 'val', folders / 'other')
    (folders / 'other/waving').rename(folders / 'other/walking')
    assert fails('train', 'other') == 'error: only one of train and other has a class walking'


def test_example_names_a_broken_video(fails, folders):
    shutil.copytree(folders / 'train', folders / 'broken')
    video = folders / 'broken/waving/video 1.mp4'
    video.write_bytes(video.read_bytes()[:1000])
    assert fails('broken', 'val', '--epochs', '1') == (
        'error: broken/waving/video 1.mp4: does not decode (1 of 4 videos): replace or remove it'
    )

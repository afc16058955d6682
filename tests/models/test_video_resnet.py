import sys
from copy import deepcopy

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.utils import get_installed_path
from support import ROOT, needs_torch, shell
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from weights.published import seed_norms

from r21d_plugin import InputError, accelerate, create_model, list_models
from r21d_plugin._norm_eps import set_norm_eps
from r21d_plugin.models import FR2D, R2D, R3D, MCx, R2Plus1D, RMCx, factorized_channels
from r21d_plugin.models.factory import backbone_cfg

TIME_OUT = dict(r2d=1, fr2d=8, r3d=1, r2plus1d=1, mc2=8, mc3=8, mc4=4, mc5=2)
TIME_OUT.update(rmc2=1, rmc3=1, rmc4=2, rmc5=4)
"""Time steps of the last feature map of an 8-frame clip (the authors' table)."""

THEIR_CONFIG = '/.mim/configs/recognition/r2plus1d/r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb.py'

EIGHTEEN = list_models(18)


def build(name, **kwargs):
    cfg = backbone_cfg(name, kwargs.pop('clip_len', 8))
    return MODELS.build(dict(cfg, type=f'r21d_plugin.{cfg["type"]}', **kwargs))


@pytest.mark.parametrize('name', list_models())
def test_forward_backward_and_state_dict(name):
    net = build(name, base_channels=4)
    clips = torch.randn(2, 3, 8, 32, 32, requires_grad=True)
    out = net(clips)
    family = name.rpartition('_')[0]
    assert out.shape == (2, net.num_features, TIME_OUT[family], 2, 2)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    assert clips.grad.abs().sum() > 0

    twin = build(name, base_channels=4)
    twin.load_state_dict(net.state_dict())
    net.eval(), twin.eval()
    torch.testing.assert_close(net(clips), twin(clips), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('name', 'parameters'),
    [
        ('r2plus1d_18', 33_370_839),
        ('r2plus1d_34', 63_697_175),
        ('r3d_18', 33_371_472),
        ('mc3_18', 11_695_440),
    ],
)
def test_exact_parameter_counts(name, parameters):
    assert sum(p.numel() for p in create_model(name).parameters()) == parameters


def test_block_wise_midplanes_are_torchvisions():
    net = R2Plus1D(18, midplanes='block')
    assert sum(p.numel() for p in net.parameters()) + 512 * 400 + 400 == 31_505_325
    assert net.layer2[0].conv2[0][0].out_channels == 230  # its first convolution's
    assert R2Plus1D(18).layer2[0].conv2[0][0].out_channels == 288


def test_key_names_are_torchvisions():
    keys = set(R2Plus1D(18, base_channels=4).state_dict())
    assert {'stem.0.weight', 'stem.3.weight', 'layer1.0.conv1.0.3.weight'} <= keys
    assert {'layer2.0.downsample.0.weight', 'layer2.0.downsample.1.bias'} <= keys
    assert 'layer1.0.downsample.0.weight' not in keys
    assert {'stem.0.weight', 'stem.1.weight', 'layer1.0.conv1.0.weight'} <= set(
        R3D(18).state_dict()
    )


def test_conv1_has_45_mid_channels():
    assert R2Plus1D(18).stem[0].out_channels == 45
    assert factorized_channels(3, 64, t=3, d=7) == 83
    assert factorized_channels(64, 64) == 144


@pytest.mark.parametrize('name', EIGHTEEN)
@pytest.mark.parametrize(
    ('frames', 'height', 'width', 'channels'), [(5, 40, 25, 2), (16, 17, 32, 5)]
)
def test_any_clip_length_size_and_channels(name, frames, height, width, channels):
    net = build(name, clip_len=frames, in_channels=channels, base_channels=4).eval()
    with torch.no_grad():
        out = net(torch.randn(1, channels, frames, height, width))
    assert out.shape[:2] == (1, 32)
    assert out.shape[3:] == (-(-height // 16), -(-width // 16))


def test_mixed_networks_change_form_at_group_x():
    kernels = [
        conv.weight.shape[2]
        for conv in MCx(18, x=3, base_channels=4).modules()
        if isinstance(conv, nn.Conv3d) and conv.weight.shape[3] > 1
    ]
    assert kernels == [3] * 5 + [1] * 12
    kernels = [
        conv.weight.shape[2]
        for conv in RMCx(18, x=3, base_channels=4).modules()
        if isinstance(conv, nn.Conv3d) and conv.weight.shape[3] > 1
    ]
    assert kernels == [1] * 5 + [3] * 12


def test_fr2d_sees_frames_one_by_one():
    net = FR2D(18, base_channels=4).eval()
    clip = torch.randn(1, 3, 4, 32, 32)
    whole = net(clip)
    alone = torch.cat([net(frame) for frame in clip.split(1, dim=2)], dim=2)
    torch.testing.assert_close(whole, alone)


def test_r2d_is_a_2d_network_on_3l_channels():
    net = R2D(18, clip_len=4, base_channels=4).eval()
    clip = torch.randn(1, 3, 4, 32, 32)
    weight = net.stem[0].weight
    folded = nn.functional.conv2d(clip.flatten(1, 2), weight.flatten(1, 2), stride=2, padding=3)
    torch.testing.assert_close(net.stem[0](clip)[:, :, 0], folded)


def test_recipe_of_norm_and_initialisation():
    net = R3D(18)
    net.init_weights()
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 0.1)}
    assert all(not isinstance(m, nn.Conv3d) or m.bias is None for m in net.modules())
    weight = net.layer3[1].conv1[0].weight
    fan_out = 256 * 27
    assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.01)
    assert not any(isinstance(m, nn.MaxPool3d) for m in net.modules())


def test_out_indices():
    net = R2Plus1D(18, base_channels=4, out_indices=(0, 2, 3))
    shapes = [tuple(f.shape[1:]) for f in net(torch.randn(1, 3, 8, 32, 32))]
    assert shapes == [(4, 8, 16, 16), (16, 2, 4, 4), (32, 1, 2, 2)]


def test_frozen_stages_stay_frozen_in_training():
    net = R2Plus1D(18, base_channels=4, frozen_stages=2)
    net.train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    out = net(torch.randn(2, 3, 8, 32, 32))
    out.sum().backward()
    for name, parameter in net.named_parameters():
        frozen = name.startswith(('stem', 'layer1', 'layer2'))
        assert parameter.requires_grad != frozen
        assert (parameter.grad is None) == frozen
    for name, value in net.state_dict().items():
        if name.endswith('running_mean'):
            frozen = name.startswith(('stem', 'layer1', 'layer2'))
            assert torch.equal(value, before[name]) == frozen


def test_norm_eval():
    net = R3D(18, base_channels=4, norm_eval=True).train()
    assert net.training
    assert not any(m.training for m in net.modules() if isinstance(m, _BatchNorm))


def test_synchronised_norms():
    torch.manual_seed(0)
    net = seed_norms(create_model('r3d_18', 5, base_channels=4, norm_eval=True))
    set_norm_eps(net, 0.1)
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(deepcopy(net))
    other = create_model('r3d_18', 5, base_channels=4).eval()
    other.load_state_dict(synchronised.state_dict())
    clips = torch.randn(2, 3, 8, 32, 32)
    torch.testing.assert_close(other(clips), net(clips))
    synchronised.train()
    norms = [m for m in synchronised.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(norms) == 20
    assert not any(norm.training for norm in norms)


@pytest.mark.parametrize('name', ['r2plus1d_18', 'r3d_18', 'fr2d_18', 'r2plus1d_50'])
def test_with_cp_changes_only_memory_use(name):
    torch.manual_seed(0)
    plain, recomputing = build(name, base_channels=4), build(name, base_channels=4, with_cp=True)
    recomputing.load_state_dict(plain.state_dict())
    clips = torch.randn(2, 3, 8, 32, 32)
    for net in (plain, recomputing):
        net.train()
        net(clips).square().mean().backward()
    for (key, a), b in zip(plain.state_dict().items(), recomputing.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=key)
    for a, b in zip(plain.parameters(), recomputing.parameters()):
        torch.testing.assert_close(a.grad, b.grad)


@needs_torch('export.Dim')
@pytest.mark.parametrize('name', [*EIGHTEEN, 'r2plus1d_50', 'r3d_26'])
def test_torch_compile_and_export_agree(name):
    net = build(name, base_channels=4).eval()
    clip = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        expected = net(clip)
        exported = torch.export.export(net, (clip,)).module()(clip)
        traced = torch.jit.trace(net, clip)(clip)
    torch.testing.assert_close(exported, expected)
    torch.testing.assert_close(traced, expected)
    explanation = torch._dynamo.explain(net)(clip)
    assert explanation.graph_break_count == 0


@pytest.mark.parametrize(
    ('cls', 'kwargs', 'named'),
    [
        (R2Plus1D, dict(depth=35), 'depth=35'),
        (MCx, dict(depth=18, x=1), 'x=1'),
        (RMCx, dict(depth=18, x=6), 'x=6'),
        (R2Plus1D, dict(depth=18, midplanes='all'), "midplanes='all'"),
        (R3D, dict(depth=18, out_indices=(4,)), 'out_indices=(4,)'),
        (R3D, dict(depth=18, out_indices=3), 'out_indices=3'),
        (R3D, dict(depth=18, norm_cfg=dict(eps=1e-5)), "add its type, such as type='BN3d'"),
        (R3D, dict(depth=18, frozen_stages=5), 'frozen_stages=5'),
    ],
)
def test_bad_arguments_are_named(cls, kwargs, named):
    with pytest.raises(InputError) as error:
        cls(**kwargs)
    assert named in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('shape', [(2, 2, 8, 32, 32), (16, 3, 32, 32), (2, 1, 3, 8, 32, 32)])
def test_invalid_clips_are_refused(shape):
    message = f'the backbone got {" x ".join(map(str, shape))}, not N x 3 x T x H x W'
    with pytest.raises(InputError, match=message):
        build('r3d_18', base_channels=4)(torch.zeros(shape))


def test_r2d_refuses_another_clip_length():
    net = R2D(18, clip_len=8, base_channels=4)
    with pytest.raises(InputError, match='clips of 8 frames and got 16'):
        net(torch.randn(1, 3, 16, 32, 32))


@pytest.mark.parametrize(
    'compiled', [False, pytest.param(True, marks=needs_torch('compiler.is_compiling'))]
)
@pytest.mark.slow
@pytest.mark.parametrize('name', ['r2plus1d_18', 'r3d_18'])
def test_bf16_gradients_on_the_cpu(name, compiled):
    """conv4_x sees two time steps, where torch 2.13's own gradient is garbage.

    Seen on CPUs with AVX-512's bfloat16 and without AMX; on one with AMX set
    ``ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16`` to see it. The weight gradient of a
    3-tap temporal ``conv3d``, stride 1 and padding 1, in bfloat16::

        x = torch.randn(4, 16, 2, 14, 14, dtype=torch.bfloat16)
        w = torch.randn(16, 16, 3, 1, 1, dtype=torch.bfloat16, requires_grad=True)
        torch.nn.functional.conv3d(x, w, padding=(1, 0, 0)).sum().backward()
        w.grad  # inf, nan or any number, another at each run; of 3 time steps it is right
    """
    torch.manual_seed(0)
    net = accelerate(build(name, base_channels=8, norm_eval=True)).train()
    forward = torch.compile(net, backend='aot_eager') if compiled else net
    clips = torch.randn(2, 3, 8, 32, 32)
    gradients = []
    for enabled in (False, True):
        net.zero_grad()
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            out = forward(clips)
        out.float().square().mean().backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
    for (key, _), exact, bf16 in zip(net.named_parameters(), *gradients):
        similarity = torch.nn.functional.cosine_similarity(bf16.flatten(), exact.flatten(), dim=0)
        assert similarity > 0.7, key  # 0.87 with torch 1.13; garbage has any direction, or nan


@pytest.mark.slow
def test_bf16_gradients_without_amx():
    """The same on a CPU with AMX, where oneDNN would hide the defect."""
    command = ['-m', 'pytest', '-q', '-p', 'no:xdist', '-m', '', __file__]
    command += ['-k', 'bf16_gradients_on_the_cpu']
    out = shell(sys.executable, *command, cwd=ROOT, ONEDNN_MAX_CPU_ISA='AVX512_CORE_BF16')
    assert ' passed' in out


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('name', EIGHTEEN)
def test_amp_on_a_gpu(name):
    net = build(name, base_channels=8).cuda()
    clips = torch.randn(2, 3, 8, 32, 32, device='cuda')
    with torch.autocast('cuda', dtype=torch.float16):
        out = net(clips)
    out.float().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_mmactions_network_differs():
    """MMAction2 builds it with a wider middle in conv1, a max-pool and other shortcuts."""
    theirs = Config.fromfile(get_installed_path('mmaction') + THEIR_CONFIG).model
    theirs.backbone.pretrained = None
    model = MODELS.build(theirs)
    assert sum(p.numel() for p in model.parameters()) == 63_759_281
    assert model.backbone.conv1.conv.conv_s.out_channels == 83
    assert isinstance(model.backbone.maxpool, nn.MaxPool3d)
    assert len(list(model.backbone.layer2[0].downsample.conv.children())) > 1

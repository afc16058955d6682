"""The tools of PyTorch that work on any module, on every network of the family."""

import subprocess
import sys

import pytest
import torch
from support import ROOT, needs_torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from r21d_plugin import InputError, create_model, list_models

CLIPS = torch.randn(2, 3, 8, 32, 32)


@pytest.fixture(params=[*list_models(18), *list_models(50)])
def model(request):
    torch.manual_seed(0)
    return create_model(request.param, 5, clip_len=8, base_channels=4).eval()


def test_plain_layers(model):
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            assert type(module) is nn.Conv3d
        if isinstance(module, nn.BatchNorm3d):
            assert type(module) is nn.BatchNorm3d


def test_hooks_fire_and_see_the_whole_batch(model):
    called = []
    for module in model.modules():
        if isinstance(module, (nn.Conv3d, nn.Sequential)):
            module.register_forward_hook(lambda m, args, out: called.append(m))
    shapes = []
    model.layer1.register_forward_hook(lambda m, args, out: shapes.append(out.shape))
    with torch.no_grad():
        model(CLIPS[:1].expand(2, -1, -1, -1, -1))
    wanted = [m for m in model.modules() if isinstance(m, (nn.Conv3d, nn.Sequential))]
    assert set(wanted) == set(called)
    assert shapes[0][0] == 2


def test_traced_and_scripted(model):
    with torch.no_grad():
        expected = model(CLIPS)
        torch.testing.assert_close(fx.symbolic_trace(model)(CLIPS), expected)
        torch.testing.assert_close(torch.jit.script(model)(CLIPS), expected)


@needs_torch('export.Dim')
def test_exported(model):
    with torch.no_grad():
        program = torch.export.export(model, (CLIPS,))
        torch.testing.assert_close(program.module()(CLIPS), model(CLIPS))


@needs_torch('func.vmap')
def test_vmap_and_gradients_of_samples(model):
    from torch.func import functional_call, grad, vmap

    parameters = dict(model.named_parameters())

    def loss(parameters, clip):
        return functional_call(model, parameters, (clip[None],)).square().sum()

    gradients = vmap(grad(loss), in_dims=(None, 0))(parameters, CLIPS)
    assert gradients['fc.weight'].shape == (2, 5, model.num_features)
    assert all(value.isfinite().all() for value in gradients.values())


def test_bfloat16_and_view(model):
    with torch.no_grad():
        assert model.to(torch.bfloat16)(CLIPS.bfloat16()).dtype == torch.bfloat16
        assert model.forward_features(CLIPS.bfloat16()).view(2, -1).shape[0] == 2


def test_fused_by_pytorch(model):
    with torch.no_grad():
        expected = model(CLIPS)
        stem = model.stem
        at = len(stem) - 3
        stem[at] = fuse_conv_bn_eval(stem[at], stem[at + 1])
        stem[at + 1] = nn.Identity()
        torch.testing.assert_close(model(CLIPS), expected, rtol=1e-3, atol=1e-5)


@needs_torch('compiler.is_compiling')
def test_recomputation_under_a_compiler():
    model = create_model('r2plus1d_18', 5, base_channels=4, with_cp=True)
    torch.compile(model, backend='aot_eager', fullgraph=True)(CLIPS).sum().backward()
    assert model.stem[1].num_batches_tracked == 1
    assert model.layer1[0].conv1[1].num_batches_tracked == 1


def test_heads_as_timm_has_them():
    model = create_model('r3d_18', 0, base_channels=4).eval()
    with torch.no_grad():
        assert model(CLIPS).shape == (2, model.num_features)
        model.reset_classifier(9)
        features = model.forward_features(CLIPS)
        assert model.forward_head(features, pre_logits=True).shape == (2, 32)
        assert torch.equal(model.forward_head(features), model(CLIPS))
    backbone = create_model('r3d_18', features_only=True, out_indices=(0, 3), base_channels=4)
    assert [f.shape[1] for f in backbone(CLIPS)] == [4, 32]
    for arguments in (dict(num_classes=-1), dict(num_classes=2.5), dict(in_channels=0)):
        with pytest.raises(InputError, match='use a whole number'):
            create_model('r3d_18', **arguments)


def test_importing_the_plugin_does_not_change_other_libraries():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import logging, threading, types, warnings
import av, cv2, mmaction.datasets, mmaction.registry, mmcv, mmengine.registry, torch
from mmengine.config import Config
from mmengine.fileio import LocalBackend
from mmengine.fileio.backends import backends
from mmengine.registry import Registry
from mmengine.runner import CheckpointLoader
safe_globals = getattr(torch.serialization, 'get_safe_globals', list)
def state():
    return (
        [g for g in safe_globals() if 'torch' not in str(g)],
        dict(CheckpointLoader._schemes), dict(backends),
        Config.dump, cv2.imwrite, logging.StreamHandler.handleError, threading.excepthook,
        sys.excepthook, list(warnings.filters), sys.meta_path[:finders], torch.load,
        {{name: dict(r.module_dict) for name, r in vars(mmaction.registry).items()
          if isinstance(r, Registry) and r.scope == 'mmaction'}},
        {{name: {{k: v for k, v in r.module_dict.items() if 'r21d' not in v.__module__}}
          for name, r in vars(mmengine.registry).items() if isinstance(r, Registry)}},
    )
finders = len(sys.meta_path)
with warnings.catch_warnings():
    # What importing MMAction2's models does by itself is not ours; its wheel lacks a module.
    names = ('mmaction.models.localizers.drn', 'mmaction.models.localizers.drn.drn')
    for name in names:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
        sys.modules[name].DRN = object
    import mmaction.models
theirs = mmaction.registry.MODELS
@theirs.register_module()
class R3D: pass
before = state()
import r21d_plugin.registry
for old, new in zip(before, state()):
    assert old == new, (old, new)
ours = [f for f in sys.meta_path if 'r21d_plugin' in getattr(f, '__module__', '')]
assert [f.__name__ for f in ours] == ['DRNFinder'], 'of a module that the wheel of mmaction2 lacks'
assert theirs.get('R3D') is R3D
assert theirs.get('r21d_plugin.R3D') is r21d_plugin.models.R3D
@theirs.register_module()
class MCx: pass
assert theirs.get('MCx') is MCx
"""
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)

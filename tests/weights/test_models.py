"""Models that contain a network. The weights of the network load into each."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import MODELS
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from weights.published import save, seed_norms

from r21d_plugin import InputError, create_model, load_weights
from r21d_plugin._norm_eps import keep_norm_eps_in_state_dicts
from r21d_plugin.weights import load_matching, match_weights

NETWORK = dict(num_classes=5, base_channels=4, midplanes='block')


def network(**kwargs):
    return create_model('r2plus1d_18', **{**NETWORK, **kwargs})


class Net(nn.Module):
    """Module with the names of PyTorchVideo's Net."""

    def __init__(self, model):
        super().__init__()
        head = nn.Module()
        head.proj = model.fc
        self.blocks = nn.ModuleList([*model.groups, head])

    def forward(self, x):
        for block in self.blocks[:-1]:
            x = block(x)
        return self.blocks[-1].proj(x.mean(dim=(2, 3, 4)))


class Task(nn.Module):
    """Module that contains a network among others, as in PyTorch Lightning."""

    def __init__(self, model):
        super().__init__()
        self.net = model
        self.register_buffer('seen', torch.zeros(1))

    def forward(self, x):
        return self.net(x)


class Localizer(nn.Module):
    """A network without a classifier, followed by one of its own, as in TSP."""

    def __init__(self, model, network='features', classifier='fc'):
        super().__init__()
        self.names = network, classifier
        self.add_module(network, model)
        self.add_module(classifier, model.fc)
        model.fc = nn.Identity()

    def forward(self, x):
        for name in self.names:
            x = self.get_submodule(name)(x)
        return x


def own_names(model):
    return Localizer(model, 'net', 'classifier')


def with_dropout(model):
    model.fc = nn.Sequential(nn.Dropout(), model.fc)
    return model


class Recognizer(nn.Module):
    """Module with a backbone and a head, like MMAction2's."""

    def __init__(self, model):
        super().__init__()
        backbone = dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4, midplanes='block')
        head = dict(type='I3DHead', num_classes=5, in_channels=32, dropout_ratio=0)
        recognizer = MODELS.build(dict(type='Recognizer3D', backbone=backbone, cls_head=head))
        self.backbone, self.cls_head = recognizer.backbone, recognizer.cls_head

    def forward(self, x):
        return self.cls_head(self.backbone(x))


def compiled_inside(model):
    model.stem, model.layer2 = torch.compile(model.stem), torch.compile(model.layer2)
    return model


MODELS_AROUND = {
    'itself': lambda model: model,
    'compiled': lambda model: torch.compile(model),
    'compiled inside': compiled_inside,
    'DataParallel': DataParallel,
    'DataParallel of compiled': lambda model: DataParallel(torch.compile(model)),
    'compiled DataParallel': lambda model: torch.compile(DataParallel(model)),
    'PyTorchVideo': Net,
    'DataParallel of PyTorchVideo': lambda model: DataParallel(Net(model)),
    'a task': Task,
    'DataParallel of a compiled task': lambda model: DataParallel(Task(torch.compile(model))),
    'a classifier beside it': Localizer,
    'a recognizer': Recognizer,
    'DataParallel of a recognizer': lambda model: DataParallel(Recognizer(model)),
}


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    """Write a file as torchvision publishes it; return it and the output of its network."""
    torch.manual_seed(0)
    model = seed_norms(network(norm_cfg=dict(type='BN3d', eps=1e-5)))
    path = save(model, tmp_path_factory.mktemp('weights') / 'net.pth')
    clips = torch.randn(2, 3, 8, 24, 24)
    with torch.no_grad():
        return SimpleNamespace(path=path, clips=clips, logits=model(clips))


def innermost(model):
    """Return the model inside torch.compile and DataParallel, which not every machine can run."""
    for name in ('_orig_mod', 'module'):
        if isinstance(getattr(model, name, None), nn.Module):
            return innermost(getattr(model, name))
    for name, child in model.named_children():
        setattr(model, name, innermost(child))
    return model


@pytest.mark.parametrize('around', MODELS_AROUND)
def test_every_model_that_holds_a_network(around, published):
    if 'compiled' in around and not hasattr(torch, 'compile'):
        pytest.skip('torch compiles nothing')
    torch.manual_seed(1)
    model = MODELS_AROUND[around](network())
    load_weights(model, published.path, head='required')
    with torch.no_grad():
        found = innermost(model.eval())(published.clips)
    torch.testing.assert_close(found, published.logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('around', [with_dropout, own_names])
def test_any_head(around, published, tmp_path, caplog):
    caplog.set_level('INFO', 'r21d_plugin')
    model = around(network()).eval()
    torch.save(model.state_dict(), tmp_path / 'own.pth')
    for head in ('required', 'optional'):
        loaded = around(network()).eval()
        load_weights(loaded, tmp_path / 'own.pth', head=head)
        assert ' tensors are loaded, all' in caplog.messages[-1]
        assert torch.equal(loaded(published.clips), model(published.clips))
    with pytest.raises(InputError, match=r'no weights of .*weight, .*bias: load those of'):
        load_weights(around(network()), published.path, head='required')


def test_distributed(published, tmp_path):
    address = f'file://{tmp_path}/store'
    torch.distributed.init_process_group('gloo', init_method=address, rank=0, world_size=1)
    try:
        model = DistributedDataParallel(network())
        load_weights(model, published.path)
    finally:
        torch.distributed.destroy_process_group()
    assert torch.equal(model.module.eval()(published.clips), published.logits)


def test_an_epsilon_in_norm_cfg_is_kept(published, caplog):
    caplog.set_level('INFO', 'r21d_plugin')
    for around in (getattr(torch, 'compile', Task), DataParallel, Task):
        model = around(network(norm_cfg=dict(type='BN3d', eps=1e-2)))
        load_weights(model, published.path)
        assert innermost(model).state_dict()._metadata  # it can be saved
        assert {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm3d)} == {1e-2}
        assert 'batch norm 1e-05 not used, as norm_cfg names another' in caplog.text
        caplog.clear()


def test_weights_of_a_net_keep_their_epsilon(tmp_path, published):
    net = Net(network(norm_cfg=dict(type='BN3d', eps=1e-5)))
    keep_norm_eps_in_state_dicts(net)  # as r21d_plugin.pytorchvideo does
    load_weights(net, published.path)
    torch.save(net.state_dict(), tmp_path / 'net.pth')
    loaded = create_model('r2plus1d_18', weights=tmp_path / 'net.pth', base_channels=4)
    with torch.no_grad():
        assert torch.equal(loaded.eval()(published.clips), published.logits)


def test_a_model_is_unchanged_if_weights_do_not_fit(published):
    model = network()
    state_dict, _ = match_weights(model, torch.load(published.path), 'net.pth')
    assert model.stem[1].eps == 1e-3
    model.load_state_dict(state_dict)
    assert model.stem[1].eps == 1e-5


@pytest.mark.parametrize('around', ['PyTorchVideo', 'a task', 'DataParallel of a recognizer'])
def test_another_network_is_named(around, published):
    model = MODELS_AROUND[around](create_model('r3d_18', **{**NETWORK, 'midplanes': 'layer'}))
    if 'recognizer' in around:
        model = DataParallel(Recognizer(None))
        model.module.backbone = create_model('r3d_18', base_channels=4, features_only=True)
    with pytest.raises(InputError, match=r'network: R\(2\+1\)D-18, not R3D-18: use the config'):
        load_weights(model, published.path)


def test_several_networks(published):
    model = nn.ModuleDict(dict(student=network(), teacher=network()))
    with pytest.raises(InputError, match=r'of another network: .* missing'):
        load_weights(model, published.path)
    loaded = nn.ModuleDict(dict(student=network(), teacher=network()))
    load_matching(loaded, model.state_dict(), 'both.pth')
    assert all(map(torch.equal, loaded.parameters(), model.parameters()))


INFERRED = {
    'r2plus1d_18': ({}, 1e-3, "mid channels are the paper's"),
    'r2plus1d_26': ({}, 1e-3, "mid channels are the paper's"),
    'r2plus1d_34': (dict(midplanes='block'), 1e-5, "PyTorch's default"),
    'r3d_18': ({}, 1e-5, "PyTorch's default"),
    'r3d_34': ({}, 1e-5, "PyTorch's default"),
}


@pytest.mark.parametrize('name', INFERRED)
def test_an_inferred_epsilon_is_logged(name, tmp_path, caplog):
    caplog.set_level('INFO', 'r21d_plugin')
    kwargs, eps, reason = INFERRED[name]
    path = save(create_model(name, 5, base_channels=4, **kwargs), tmp_path / 'net.pth')
    model = create_model(name, weights=path, base_channels=4)
    assert model.stem[1].eps == eps
    told = f'batch norm {eps:g}, inferred, as the file has none ({reason}'
    assert told in caplog.text
    assert "norm_cfg=dict(type='BN3d', eps=...) sets another" in caplog.text
    other = create_model(name, weights=path, base_channels=4, norm_cfg=dict(type='BN3d', eps=0.01))
    assert other.stem[1].eps == 0.01
    caplog.clear()
    torch.save(model.state_dict(), path)
    assert create_model(name, weights=path, base_channels=4).stem[1].eps == eps
    assert f'; epsilon of batch norm {eps:g}\n' in caplog.text, 'noted, not inferred'


def test_a_kept_epsilon_is_logged(tmp_path, caplog):
    caplog.set_level('INFO', 'r21d_plugin')
    torch.save(dict(Recognizer(None).state_dict()), tmp_path / 'epoch_1.pth')
    load_weights(network(), tmp_path / 'epoch_1.pth')
    assert 'epsilon of batch norm stays 0.001, as the file has none' in caplog.text

"""Contents that others' training scripts store around the weights of our networks."""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import struct
import types

import numpy as np
import pytest
import torch
from weights.published import caffe2_blobs, gluoncv, gluoncv_of_vmz, save, seed_norms, write_caffe2

from r21d_plugin import InputError, PublicWeights, create_model, load_weights
from r21d_plugin._norm_eps import set_norm_eps
from r21d_plugin.weights import load_checkpoint
from r21d_plugin.weights.formats import NET_NAMES, replace_prefixes

SMALL = dict(base_channels=4)


def network(name='r2plus1d_18', eps=1e-5, num_classes=7, **kwargs):
    torch.manual_seed(0)
    cfg = dict(type='BN3d', eps=eps)
    if eps == 1e-5 and 'plus' in name:
        kwargs.setdefault('midplanes', 'block')
    return seed_norms(create_model(name, num_classes, norm_cfg=cfg, **SMALL, **kwargs))


@pytest.fixture(scope='module')
def published():
    """Build a network as torchvision publishes it."""
    return network()


def tensors(model, prefix='', without=()):
    return {
        prefix + key: value
        for key, value in model.state_dict().items()
        if not key.startswith(tuple(without))
    }


def training(weights, key='model'):
    """Build the checkpoint of a training script, with the other contents."""
    momentum = {'state': {0: {'momentum_buffer': torch.zeros(3)}}, 'param_groups': [{'lr': 0.1}]}
    milestones = collections.Counter([10, 20])
    return {
        key: weights,
        'optimizer': momentum,
        'lr_scheduler': dict(milestones=milestones, base_lrs=[0.1]),
        'args': argparse.Namespace(lr=0.1, path=pathlib.PosixPath('data'), nested={'a': (1, 2)}),
        'config': types.SimpleNamespace(x=1),
        'epoch': 3,
        'best_acc1': torch.tensor(3.0),
        'loss': np.float64(0.5),
        'callbacks': {'ModelCheckpoint': {'best_model_score': torch.tensor(1.0)}},
    }


def logits(model):
    torch.manual_seed(1)
    with torch.no_grad():
        return model.eval()(torch.randn(2, 3, 8, 24, 24))


def features(model):
    torch.manual_seed(1)
    with torch.no_grad():
        return model.eval().forward_features(torch.randn(2, 3, 8, 24, 24))


WRAPPED = {
    'torchvision script': lambda w: training(w),
    'model_state_dict': lambda w: training(w, 'model_state_dict'),
    'EMA alone': lambda w: training(w, 'model_ema'),
    'nested': lambda w: dict(a=dict(b=training(w))),
    'DataParallel': lambda w: {f'module.{k}': v for k, v in w.items()},
    'compiled': lambda w: training({f'_orig_mod.{k}': v for k, v in w.items()}),
    'compiled parallel': lambda w: {f'module._orig_mod.{k}': v for k, v in w.items()},
    'compiled inside': lambda w: {f'net._orig_mod.{k}': v for k, v in w.items()},
    'averaged': lambda w: dict(
        model_ema={'n_averaged': torch.tensor(3), **{f'module.{k}': v for k, v in w.items()}}
    ),
    **{
        f'Lightning {prefix}': lambda w, prefix=prefix: training(
            {f'{prefix}.{k}': v for k, v in w.items()}, 'state_dict'
        )
        for prefix in ('model', 'net', 'backbone', 'a.b.c')
    },
    'PyTorchVideo': lambda w: dict(model_state=replace_prefixes(w, NET_NAMES)),
    'arrays': lambda w: {k: v.numpy() for k, v in w.items()},
}


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('form', WRAPPED)
def test_nested_state_dicts(form, legacy, published, tmp_path):
    if legacy and not hasattr(torch.serialization, 'safe_globals'):
        pytest.skip('torch reads no names of others from its old format')
    path = tmp_path / 'net.pth'
    content = WRAPPED[form](tensors(published))
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    model = create_model('r2plus1d_18', weights=path, base_channels=4)
    if form == 'PyTorchVideo':  # whose epsilon is not known
        set_norm_eps(model, 1e-5)
    assert torch.equal(logits(model), logits(published))


def two_heads(prefix, **heads):
    return lambda w: {**{f'{prefix}{k}': v for k, v in w.items()}, **heads}


def contrast(prefix):
    """Build a network that is trained against its moving average."""
    return lambda w: {
        **{f'module.encoder_q.{prefix}{k}': v for k, v in w.items()},
        **{f'module.encoder_k.{prefix}{k}': v + 1 for k, v in w.items()},
        f'module.encoder_q.{prefix}fc.weight': torch.zeros(128, 32),
        f'module.encoder_k.{prefix}fc.weight': torch.zeros(128, 32),
        'module.queue': torch.zeros(3, 3),
    }


def in_sequence(weights):
    """Put conv1 to conv5_x into a Sequential."""
    places = {'stem.': '0.', **{f'layer{i}.': f'{i}.' for i in range(1, 5)}}
    return replace_prefixes(weights, places)


AUDIO = {'module.audio_network.base.conv1.weight': torch.zeros(2, 1, 7, 7)}
HEADLESS = {
    'a backbone': dict,
    'TSP': two_heads(
        'features.', **{'fc1.weight': torch.zeros(200, 32), 'fc2.weight': torch.zeros(2, 64)}
    ),
    'SeLaVi': two_heads('module.video_network.base.', **AUDIO),
    'VideoMoCo': contrast(''),
    'TCLR': two_heads('module.0.', **{'module.1.weight': torch.zeros(3, 3)}),
    'RSPNet': lambda w: contrast('encoder.base_network.')(in_sequence(w)),
    'a sequence': lambda w: two_heads('module.base_network.')(in_sequence(w)),
}


@pytest.mark.parametrize('form', HEADLESS)
def test_a_network_without_its_classifier(form, published, tmp_path, caplog):
    caplog.set_level('INFO', 'r21d_plugin')
    headless = HEADLESS[form](tensors(published, without=['fc.']))
    torch.save(training(headless), tmp_path / 'net.pth')
    model = create_model('r2plus1d_18', 5, weights=tmp_path / 'net.pth', base_channels=4)
    assert torch.equal(features(model), features(published))
    assert model.fc.out_features == 5
    assert 'new: fc.bias, fc.weight; epsilon of batch norm 1e-05' in caplog.text


def test_a_classifier_beside_the_network(published, tmp_path):
    weights = {
        (key if key.startswith('fc.') else f'features.{key}'): value
        for key, value in tensors(published).items()
    }
    torch.save(training(weights), tmp_path / 'tac.pth')
    model = create_model('r2plus1d_18', weights=tmp_path / 'tac.pth', base_channels=4)
    assert torch.equal(logits(model), logits(published))


@pytest.mark.parametrize('form', ['pth', 'pkl'])
def test_the_papers_mid_channels_have_its_epsilon(form, tmp_path, caplog):
    """This holds for both kinds of XDC's files."""
    caplog.set_level('INFO', 'r21d_plugin')
    original = network(eps=1e-3)
    path = tmp_path / f'xdc.{form}'
    if form == 'pth':
        torch.save(tensors(original, without=['fc.']), path)
    else:
        blobs = caffe2_blobs(original).items()
        write_caffe2({k: v for k, v in blobs if not k.startswith('last_out')}, path)
    loaded = create_model('r2plus1d_18', weights=path, base_channels=4)
    assert torch.equal(features(loaded), features(original))
    assert 'new: fc.bias, fc.weight; epsilon of batch norm 0.001' in caplog.text
    model = network(eps=1e-3, num_classes=9)
    load_weights(model, path)
    assert torch.equal(features(model), features(original))
    with pytest.raises(
        InputError, match=r'xdc\.p..: no weights of the head \(fc\.weight, \.\.\.\): f'
    ):
        load_weights(model, path, head='required')


@pytest.mark.parametrize('name', ['r2plus1d_18', 'r2plus1d_34'])
def test_gluoncv(name, tmp_path):
    original = network(name)
    weights = gluoncv(original)
    assert {'conv2.weight', 'bn2.bias', 'layer1.0.conv1.bn1.weight'} < weights.keys()
    torch.save(weights, tmp_path / 'net.pth')
    model = create_model(name, weights=tmp_path / 'net.pth', base_channels=4)
    assert torch.equal(logits(model), logits(original))


def test_gluoncvs_network_of_vmz(tmp_path):
    original = network('r2plus1d_26', eps=1e-3)
    weights = gluoncv_of_vmz(original)
    assert {'conv1_middle.weight', 'layer2.0.down_sample.1.bias', 'out_fc.bias'} < weights.keys()
    assert {'layer1.0.conv2_middle.weight', 'layer1.1.bn2_middle.bias'} < weights.keys()
    torch.save(weights, tmp_path / 'net.pth')
    model = create_model('r2plus1d_26', weights=tmp_path / 'net.pth', base_channels=4)
    assert torch.equal(logits(model), logits(original))


def write_safetensors(weights, path, eps=None, **changes):
    """Write the documented format: length of the header, header, data."""
    header, data = {'__metadata__': {'format': 'pt'}}, b''
    for name, value in weights.items():
        kind = {torch.float32: 'F32', torch.int64: 'I64'}[value.dtype]
        content = value.detach().numpy().tobytes()
        offsets = [len(data), len(data) + len(content)]
        header[name] = dict(dtype=kind, shape=list(value.shape), data_offsets=offsets)
        data += content
    for name, change in changes.items():
        header[name].update(change)
    if eps is not None:
        header['__metadata__']['norm_eps'] = json.dumps({'': eps})
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + data)
    return path


def test_safetensors(published, tmp_path):
    path = write_safetensors(tensors(published), tmp_path / 'net.safetensors')
    model = create_model('r2plus1d_18', weights=path, base_channels=4)
    assert torch.equal(logits(model), logits(published))
    path = write_safetensors(tensors(published), path, eps=0.01)
    assert create_model('r2plus1d_18', weights=path, base_channels=4).stem[1].eps == 0.01


@pytest.mark.parametrize(
    'change',
    [
        dict(data_offsets=[0, 8]),
        dict(data_offsets=[8, 100]),
        dict(data_offsets=[-8, 4]),
        dict(shape=[2**40]),
        dict(dtype='Q8'),
    ],
)
def test_a_damaged_file_of_safetensors(change, tmp_path):
    weights = dict(a=torch.zeros(2), b=torch.ones(2))
    path = write_safetensors(weights, tmp_path / 'a.safetensors', b=change)
    with pytest.raises(InputError, match=r'a\.safetensors: not ') as error:
        load_checkpoint(str(path))
    assert '\n' not in str(error.value)
    path.write_bytes(write_safetensors(weights, path).read_bytes()[:-4])
    with pytest.raises(InputError, match=r'a\.safetensors: not a readable checkpoint'):
        load_checkpoint(str(path))


def test_several_networks(published, tmp_path):
    weights = tensors(published)
    torch.save(dict(training(weights), model_ema=weights), tmp_path / 'a.pth')
    with pytest.raises(InputError, match=r'a\.pth: .* several networks \(model, model_ema\): save'):
        create_model('r2plus1d_18', weights=tmp_path / 'a.pth')
    teacher = {f'{who}.{k}': v for who in ('student', 'teacher') for k, v in weights.items()}
    torch.save(teacher, tmp_path / 'a.pth')
    with pytest.raises(InputError, match=r'several networks \(student\., teacher\.\): save those'):
        create_model('r2plus1d_18', weights=tmp_path / 'a.pth')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('video_model.conv2x.0.spt_conv1.weight', r"AVID-CMA's R\(2\+1\)D"),
        (
            'encoder_q.encoder.conv2.block1.conv1.spatial_conv.weight',
            r"VCOP's R\(2\+1\)D, also in RSPN",
        ),
        ('blocks.1.res_blocks.0.branch1_conv.weight', "a ResNet of PyTorchVideo's own"),
        ('layer1.0.conv1.weight', 'another network: no tensor name belongs to this family'),
    ],
)
def test_other_networks_are_named(name, message, tmp_path):
    content = training({f'module.{name}': torch.zeros(1)})
    torch.save(dict(content, criterion={'memory': torch.zeros(3)}), tmp_path / 'a.pth')
    with pytest.raises(InputError, match=rf'a\.pth: weights of {message}') as error:
        create_model('r2plus1d_18', weights=tmp_path / 'a.pth')
    assert '\n' not in str(error.value)


def test_a_network_with_one_layer_of_another_form(published, tmp_path):
    weights = tensors(published)
    weights['layer4.0.conv1.0.weight'] = torch.zeros(32, 16, 3, 3, 3)
    torch.save({k: v for k, v in weights.items() if '4.0.conv1.0.0.' not in k}, tmp_path / 'a.pth')
    with pytest.raises(InputError, match=r'of another network: 1 of \d+ tensors are missing'):
        create_model('r2plus1d_18', weights=tmp_path / 'a.pth', **SMALL, midplanes='block')


def test_paths_and_public_weights_are_sources(published, tmp_path, monkeypatch):
    path = save(published, tmp_path / 'net.pth')
    model = network(num_classes=7)
    load_weights(model, path)
    assert torch.equal(logits(model), logits(published))
    member = PublicWeights.R2PLUS1D_18_TORCHVISION_KINETICS_16F
    monkeypatch.setattr(member, '_value_', member.value._replace(url=str(path)))
    load_weights(model, member)

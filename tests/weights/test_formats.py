"""Weights in published formats, loaded in each possible way."""

import copy
import pickle

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from torch.nn import BatchNorm3d

from r21d_plugin import InputError, create_model, list_models
from r21d_plugin.weights import fuse_checkpoints
from r21d_plugin.weights.formats import FROM_NET, NET_NAMES, replace_prefixes

from .published import caffe2_blobs, save, seed_norms, write_caffe2

SMALL = dict(num_classes=7, base_channels=4)


def network(name='r2plus1d_18', **kwargs):
    torch.manual_seed(0)
    return seed_norms(create_model(name, **{**SMALL, **kwargs}))


def logits(model, channels=3, frames=8):
    torch.manual_seed(1)
    with torch.no_grad():
        return model.eval()(torch.randn(2, channels, frames, 24, 24))


def features(network):
    torch.manual_seed(1)
    with torch.no_grad():
        return network(torch.randn(2, 3, 8, 24, 24))


@pytest.fixture(scope='session')
def pkl(tmp_path_factory):
    return write_caffe2(caffe2_blobs(network()), tmp_path_factory.mktemp('vmz') / 'r2.5d_d18.pkl')


@pytest.mark.parametrize('name', [*(n for n in list_models() if '18' in n), 'r2plus1d_34'])
def test_caffe2(name, tmp_path):
    original = network(name, clip_len=8)
    path = write_caffe2(caffe2_blobs(original), tmp_path / 'net.pkl')
    loaded = create_model(name, clip_len=8, weights=str(path), **SMALL)
    for key, value in original.state_dict().items():
        if not key.endswith('num_batches_tracked'):
            assert torch.equal(loaded.state_dict()[key], value), key
    assert torch.equal(logits(loaded), logits(original))


def test_caffe2_flow(tmp_path):
    original = network('r2plus1d_34', in_channels=2)
    path = write_caffe2(caffe2_blobs(original), tmp_path / 'flow.pkl')
    loaded = create_model('r2plus1d_34', in_channels=2, weights=str(path), **SMALL)
    assert torch.equal(logits(loaded, 2), logits(original, 2))


def test_caffe2_file_is_one(pkl):
    """Python's own unpickler, with bytes as latin-1, reads the files that other tests write."""
    with pkl.open('rb') as file:
        blobs = pickle.load(file, encoding='latin-1')['blobs']  # our own file
    expected = caffe2_blobs(network())
    assert blobs.keys() == expected.keys()
    assert all((blobs[name] == value).all() for name, value in expected.items())


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4])
def test_caffe2_as_python_3_writes_it(tmp_path, protocol):
    original = network()
    path = tmp_path / 'net.pkl'
    path.write_bytes(pickle.dumps({'blobs': caffe2_blobs(original)}, protocol))
    loaded = create_model('r2plus1d_18', weights=str(path), **SMALL)
    assert torch.equal(logits(loaded), logits(original))


def test_torchvision_epsilon(tmp_path):
    """The network adopts the epsilon and reports it; another one in norm_cfg takes precedence."""
    published = network('r3d_18', norm_cfg=dict(type='BN3d', eps=1e-5))
    path = str(save(published, tmp_path / 'r3d_18.pth'))
    loaded = create_model('r3d_18', weights=path, **SMALL)
    assert {m.eps for m in loaded.modules() if isinstance(m, BatchNorm3d)} == {1e-5}
    assert torch.equal(logits(loaded), logits(published))
    other = create_model('r3d_18', weights=path, norm_cfg=dict(type='BN3d', eps=1e-2), **SMALL)
    assert other.stem[1].eps == 1e-2


def test_epsilon_travels_with_our_own_files(tmp_path):
    """At 18 layers with torchvision's names, a guess would give torchvision's epsilon."""
    torch.save(network('r3d_18').state_dict(), tmp_path / 'own.pth')
    loaded = create_model('r3d_18', weights=str(tmp_path / 'own.pth'), **SMALL)
    assert loaded.stem[1].eps == 1e-3
    assert torch.equal(logits(loaded), logits(network('r3d_18')))


def test_epsilon_is_restored_by_any_loader():
    original = network('r3d_18', norm_cfg=dict(type='BN3d', eps=1e-5))
    model = copy.deepcopy(network('r3d_18'))
    model.load_state_dict(original.state_dict())
    assert torch.equal(logits(model), logits(original))
    model.load_state_dict(dict(network('r3d_18').state_dict()))
    assert model.stem[1].eps == 1e-5, 'where none is noted it stays'


def test_load_state_dict_changes_no_value():
    model = network('r3d_18')
    given = {key: value + 1 for key, value in model.state_dict().items()}
    model.load_state_dict(given)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in given.items())


def test_a_new_classifier_and_another_input(tmp_path, caplog):
    caplog.set_level('INFO', 'r21d_plugin')
    original = network(midplanes='block', norm_cfg=dict(type='BN3d', eps=1e-5))
    path = save(original, tmp_path / 'rgb.pth')
    model = create_model('r2plus1d_18', 3, in_channels=1, weights=path).eval()
    assert model.fc.weight.shape == (3, 32)
    grey = torch.randn(2, 1, 8, 24, 24)
    with torch.no_grad():
        expected = original.forward_features(grey.expand(-1, 3, -1, -1, -1))
        torch.testing.assert_close(model.forward_features(grey), expected)
    assert 'new: fc.bias, fc.weight; epsilon of batch norm 1e-05' in caplog.text
    assert 'conv1: adapted from 3 to 1 input channels' in caplog.text
    four = create_model('r2plus1d_18', 0, in_channels=6, weights=path).eval()
    clips = torch.randn(2, 3, 8, 24, 24)
    with torch.no_grad():
        expected = original.forward_features(clips)
        torch.testing.assert_close(four.forward_features(clips.repeat(1, 2, 1, 1, 1)), expected)
        assert four(clips.repeat(1, 2, 1, 1, 1)).shape == (2, 32)


def test_missing_arguments_follow_the_file(tmp_path):
    original = network(
        'r2plus1d_18', midplanes='block', in_channels=2, norm_cfg=dict(type='BN3d', eps=1e-5)
    )
    model = create_model('r2plus1d_18', weights=str(save(original, tmp_path / 'net.pth')))
    assert torch.equal(logits(model, 2), logits(original, 2))


def test_ig65m(tmp_path):
    original = network('r2plus1d_34')
    path = str(save(original, tmp_path / 'ig65m.pth'))
    assert torch.equal(logits(create_model('r2plus1d_34', weights=path, **SMALL)), logits(original))


def test_plain_load_state_dict():
    """Users of torchvision load weights in this way."""
    original = network('r2plus1d_34')
    model = create_model('r2plus1d_34', **SMALL)
    model.load_state_dict(original.state_dict())
    assert torch.equal(logits(model), logits(original))
    with pytest.raises(RuntimeError, match='Missing key'):
        model.load_state_dict(create_model('r3d_18', **SMALL).state_dict())


def test_some_tensors_can_be_loaded_on_purpose():
    model = network()
    model.load_state_dict({'fc.bias': torch.ones(7)}, strict=False)
    assert torch.equal(model.fc.bias, torch.ones(7))


@pytest.mark.parametrize(
    'init_cfg', [dict(type='r21d_plugin.Pretrained'), dict(type='Pretrained', prefix='backbone.')]
)
def test_init_cfg_pretrained(init_cfg, pkl):
    """The config has only our backbone; MMEngine's own initialiser would load nothing."""
    pretrained = dict(init_cfg, checkpoint=str(pkl))
    backbone = dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4, init_cfg=pretrained)
    head = dict(type='I3DHead', in_channels=32, num_classes=7)
    model = MODELS.build(Config(dict(type='Recognizer3D', backbone=backbone, cls_head=head)))
    model.init_weights()
    assert torch.equal(features(model.backbone.eval()), features(network().forward_features))


def test_init_cfg_of_a_whole_recognizer_for_a_backbone(tmp_path):
    original = network()
    state_dict = {
        k.replace('fc.', 'cls_head.fc_cls.') if k.startswith('fc.') else f'backbone.{k}': v
        for k, v in original.state_dict().items()
    }
    torch.save(dict(state_dict=state_dict), tmp_path / 'epoch_1.pth')
    pretrained = dict(type='r21d_plugin.Pretrained', checkpoint=str(tmp_path / 'epoch_1.pth'))
    cfg = dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=4, init_cfg=pretrained)
    backbone = MODELS.build(cfg)
    backbone.init_weights()
    assert torch.equal(backbone.stem[0].weight, original.stem[0].weight)
    backbone = MODELS.build(dict(cfg, depth=34))
    with pytest.raises(InputError, match=r'epoch_1\.pth: .*: R\(2\+1\)D-18, not R\(2\+1\)D-34'):
        backbone.init_weights()


def test_log_reports_the_format(pkl, caplog):
    caplog.set_level('INFO', 'r21d_plugin')
    create_model('r2plus1d_18', weights=str(pkl), **SMALL)
    assert 'r2.5d_d18.pkl: a Caffe2 pickle of VMZ' in caplog.text
    assert "R(2+1)D-18 (midplanes='layer', base_channels=4, in_channels=3" in caplog.text
    assert '187 of 224 tensors are loaded, all; epsilon of batch norm 0.001' in caplog.text


OTHER = {
    'depth': (dict(name='r2plus1d_34'), r'R\(2\+1\)D-34, not R\(2\+1\)D-18'),
    'family': (dict(name='mc3_18'), r'MC3-18, not R\(2\+1\)D-18'),
    'midplanes': (dict(midplanes='block'), "with midplanes='block', not midplanes='layer'"),
    'width': (dict(base_channels=8), 'with base_channels=8, not base_channels=4'),
}


@pytest.mark.parametrize('case', OTHER)
@pytest.mark.parametrize('form', ['torchvision', 'caffe2'])
def test_another_network(case, form, tmp_path):
    arguments, expected = OTHER[case]
    model = network(**arguments)
    if form == 'torchvision':
        path = save(model, tmp_path / 'other.pth')
    else:
        path = write_caffe2(caffe2_blobs(model), tmp_path / 'other.pkl')
    with pytest.raises(InputError, match=rf'other\.p..: weights of another network: .*{expected}'):
        create_model('r2plus1d_18', weights=str(path), midplanes='layer', **SMALL)


def test_clip_len_of_r2d(tmp_path):
    path = save(network('r2d_18', clip_len=16), tmp_path / 'r2d.pth')
    with pytest.raises(InputError, match=r'R2D-18 with clip_len=16, not clip_len=8: use'):
        create_model('r2d_18', weights=str(path), clip_len=8, **SMALL)
    assert create_model('r2d_18', weights=str(path), **SMALL).clip_len == 16


@pytest.mark.parametrize(
    ('backbone', 'message'),
    [
        (dict(type='ResNet2Plus1d', depth=34), "MMAction2's ResNet2Plus1d, which is not the paper"),
        (dict(type='ResNet3d', depth=18), 'a ResNet of MMAction2, which is no network of this'),
    ],
)
def test_mmaction2s_networks(backbone, message, tmp_path):
    """The keys look alike, but the network differs."""
    common = dict(pretrained=None, pretrained2d=False, norm_eval=False, with_pool2=False)
    cfg = (
        dict(backbone, conv_cfg=dict(type='Conv2plus1d'))
        if '2Plus' in backbone['type']
        else backbone
    )
    model = MODELS.build(dict(cfg, **common))
    torch.save(
        dict(state_dict={f'backbone.{k}': v for k, v in model.state_dict().items()}),
        tmp_path / 'theirs.pth',
    )
    with pytest.raises(InputError, match=rf'theirs\.pth: weights of {message}') as error:
        create_model('r2plus1d_34', weights=str(tmp_path / 'theirs.pth'))
    assert '\n' not in str(error.value)


def test_two_streams_of_published_weights(pkl, tmp_path):
    flow = write_caffe2(caffe2_blobs(network(in_channels=2)), tmp_path / 'flow.pkl')
    fused = fuse_checkpoints(str(pkl), str(flow))['state_dict']
    assert torch.equal(fused['backbone.rgb.stem.0.weight'], network().stem[0].weight)
    assert fused['backbone.flow.stem.0.weight'].shape[1] == 2
    assert 'cls_head.classifiers.flow.fc_cls.bias' in fused
    torch.save(create_model('r3d_18', 0, base_channels=4).state_dict(), tmp_path / 'headless.pth')
    with pytest.raises(InputError, match=r'headless\.pth: not the weights of one stream with its'):
        fuse_checkpoints(str(pkl), str(tmp_path / 'headless.pth'))


def test_streams_with_other_orders_of_classes(tmp_path):
    for path, channels, names in (('rgb', 3, ('jump', 'run')), ('flow', 2, ('run', 'jump'))):
        model = create_model('r3d_18', 2, channels, base_channels=4)
        checkpoint = dict(
            state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=names))
        )
        torch.save(checkpoint, tmp_path / f'{path}.pth')
    with pytest.raises(InputError, match=r'flow\.pth: same classes, other order: train one again'):
        fuse_checkpoints(str(tmp_path / 'rgb.pth'), str(tmp_path / 'flow.pth'))


def test_every_tensor_has_a_name_in_a_net():
    state_dict = network('r2plus1d_18').state_dict()
    of_net = replace_prefixes(state_dict, NET_NAMES)
    assert all(name.startswith('blocks.') for name in of_net)
    assert list(replace_prefixes(of_net, FROM_NET)) == list(state_dict)


def test_names_in_a_net():
    ours = ['stem.0.weight', 'layer4.1.conv2.0.3.weight', 'fc.bias', 'blocks.6.weight']
    assert list(replace_prefixes(dict.fromkeys(ours), NET_NAMES)) == [
        'blocks.0.0.weight',
        'blocks.4.1.conv2.0.3.weight',
        'blocks.5.proj.bias',
        'blocks.6.weight',
    ]

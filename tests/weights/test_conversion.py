import pytest
import torch

from r21d_plugin import InputError, create_model
from r21d_plugin.weights import load_checkpoint
from tools.convert_weights import convert

from .published import caffe2_blobs, save, seed_norms, write_caffe2

NETWORKS = [('r3d_18', {}), ('r2plus1d_18', dict(midplanes='block')), ('r2plus1d_34', {})]


def network(name, **kwargs):
    torch.manual_seed(0)
    return seed_norms(create_model(name, 7, base_channels=4, **kwargs))


@pytest.mark.parametrize(('name', 'kwargs'), NETWORKS)
def test_ours_are_the_same_tensors_and_epsilon(name, kwargs, tmp_path):
    """This holds for any epsilon of the source: torchvision's, the authors' or another."""
    for eps in (1e-5, 1e-3, 1e-2):
        original = network(name, norm_cfg=dict(type='BN3d', eps=eps), **kwargs)
        torch.save(original.state_dict(), tmp_path / 'a.pth')
        report = convert(str(tmp_path / 'a.pth'), tmp_path / 'b.pth', 'r21d')
        assert report['batch norm'] == f'for an epsilon of {eps:g}, running variances +0'
        loaded = create_model(name, 7, base_channels=4, weights=str(tmp_path / 'b.pth'), **kwargs)
        assert loaded.stem[1].eps == eps
        for key, value in original.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value), key
        assert loaded.state_dict()._metadata[''] == original.state_dict()._metadata['']


@pytest.mark.parametrize(('name', 'kwargs'), NETWORKS)
def test_torchvisions_have_its_epsilon(name, kwargs, tmp_path):
    """Its readers use a fixed epsilon, so running variances compensate for the difference."""
    original = network(name, **kwargs)
    torch.save(original.state_dict(), tmp_path / 'a.pth')
    report = convert(str(tmp_path / 'a.pth'), tmp_path / 'b.pth', 'torchvision')
    eps = 1e-3 if '34' in name else 1e-5
    shift = 1e-3 - eps
    assert report['batch norm'] == f'for an epsilon of {eps:g}, running variances {shift:+g}'
    theirs = torch.load(tmp_path / 'b.pth', weights_only=True)
    assert not hasattr(theirs, '_metadata')
    for key, value in original.state_dict().items():
        shifted = value + shift if key.endswith('running_var') else value
        torch.testing.assert_close(theirs[key], shifted, rtol=0, atol=0)
    clips = torch.randn(1, 3, 8, 24, 24)
    loaded = create_model(name, 7, base_channels=4, weights=str(tmp_path / 'b.pth'), **kwargs)
    assert loaded.stem[1].eps == eps
    with torch.no_grad():
        torch.testing.assert_close(loaded.eval()(clips), original(clips))


def test_names_that_are_written(tmp_path):
    path = write_caffe2(caffe2_blobs(network('mc3_18')), tmp_path / 'a.pkl')
    report = convert(str(path), tmp_path / 'theirs.pth', 'torchvision')
    assert 'a.pkl: a Caffe2 pickle' in report['source']
    assert report['network'] == 'MC3-18 (base_channels=4, in_channels=3, num_classes=7)'
    theirs = torch.load(tmp_path / 'theirs.pth', weights_only=True)
    assert {'stem.0.weight', 'layer2.0.downsample.1.running_var', 'fc.bias'} <= theirs.keys()
    convert(str(path), tmp_path / 'ours.pth', 'r21d')
    ours = load_checkpoint(str(tmp_path / 'ours.pth'))['state_dict']
    assert {'backbone.stem.0.weight', 'cls_head.fc_cls.bias'} <= ours.keys()
    assert ours._metadata == {'backbone': {'norm_eps': 1e-3}}


def test_nothing_to_convert(tmp_path):
    torch.save(
        {k: v for k, v in network('r3d_18').state_dict().items() if k[:3] != 'fc.'},
        tmp_path / 'a.pth',
    )
    with pytest.raises(InputError, match=r'a\.pth: no weights of a single network with its class'):
        convert(str(tmp_path / 'a.pth'), tmp_path / 'b.pth', 'r21d')
    assert not (tmp_path / 'b.pth').exists()


def test_nowhere_to_write(tmp_path):
    path = save(network('r3d_18'), tmp_path / 'a.pth')
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=r'b\.pth: cannot write there'):
        convert(str(path), tmp_path / 'file/b.pth', 'r21d')

import pytest
import torch

from r21d_plugin import InputError, create_model
from r21d_plugin.weights import load_checkpoint
from r21d_plugin.weights.conversion import convert

from .published import caffe2_blobs, save, seed_norms, write_caffe2

NETWORKS = [('r3d_18', {}), ('r2plus1d_18', dict(midplanes='block')), ('r2plus1d_34', {})]


def network(name, **kwargs):
    torch.manual_seed(0)
    return seed_norms(create_model(name, 7, base_channels=4, **kwargs))


@pytest.mark.parametrize(('name', 'kwargs'), NETWORKS)
def test_there_and_back(name, kwargs, tmp_path):
    original = network(name, **kwargs)
    torch.save(original.state_dict(), tmp_path / 'a.pth')
    there = convert(str(tmp_path / 'a.pth'), tmp_path / 'b.pth', 'torchvision')
    back = convert(str(tmp_path / 'b.pth'), tmp_path / 'c.pth', 'r21d')
    assert there.difference < 1e-6
    assert back.difference < 1e-6
    assert there.eps == (1e-3 if '34' in name else 1e-5)
    assert there.parameters == sum(p.numel() for p in original.parameters())
    loaded = create_model(name, 7, base_channels=4, weights=str(tmp_path / 'c.pth'), **kwargs)
    for key, value in original.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=0, atol=1e-6)


def test_names_that_are_written(tmp_path):
    path = write_caffe2(caffe2_blobs(network('mc3_18')), tmp_path / 'a.pkl')
    report = convert(str(path), tmp_path / 'theirs.pth', 'torchvision')
    assert report.source.startswith('a Caffe2 pickle')
    theirs = torch.load(tmp_path / 'theirs.pth', weights_only=True)
    assert {'stem.0.weight', 'layer2.0.downsample.1.running_var', 'fc.bias'} <= theirs.keys()
    convert(str(path), tmp_path / 'ours.pth', 'r21d')
    ours = load_checkpoint(str(tmp_path / 'ours.pth'))['state_dict']
    assert {'backbone.stem.0.weight', 'cls_head.fc_cls.bias'} <= ours.keys()


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

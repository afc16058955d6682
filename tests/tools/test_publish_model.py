"""Checkpoints written for publication."""

import hashlib
import re

import pytest
import torch
from weights.published import seed_norms

from r21d_plugin import create_model
from r21d_plugin.weights import load_checkpoint

CLIP = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return seed_norms(
        create_model('r2plus1d_18', 3, base_channels=4, norm_cfg=dict(type='BN3d', eps=0.1))
    )


def test_a_trained_checkpoint(tool, trained_dir, tmp_path, capsys):
    source = trained_dir / 'epoch_2.pth'
    for _ in range(2):
        tool('publish_model.py', source, tmp_path / 'out/net.pth')
    line = capsys.readouterr().out.splitlines()[-1]
    (path,) = (tmp_path / 'out').iterdir()
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert path.name == f'net-{digits}.pth'
    assert re.fullmatch(rf'{path}  \d\.\d MB', line)
    assert torch.hub.HASH_REGEX.search(path.name)[1] == digits
    written = load_checkpoint(str(path))
    given = load_checkpoint(str(source))
    assert written.keys() == {'meta', 'state_dict'}
    assert written['meta'].keys() == {'cfg', 'dataset_meta', 'epoch', 'iter', 'mmengine_version'}
    assert written['meta']['epoch'] == 2
    assert 'R2Plus1D' in written['meta']['cfg']
    assert written['state_dict'].keys() == given['state_dict'].keys()
    assert all(torch.equal(written['state_dict'][k], v) for k, v in given['state_dict'].items())
    assert path.stat().st_size < source.stat().st_size


def test_the_outputs_are_the_same(tool, network, tmp_path):
    """So is the epsilon, which is only in the state dict's metadata; torch.hub accepts the hash."""
    torch.save(network.state_dict(), tmp_path / 'a.pth')
    tool('publish_model.py', tmp_path / 'a.pth', tmp_path / 'net.pth')
    (path,) = tmp_path.glob('net-*.pth')
    loaded = create_model('r2plus1d_18', weights=path).eval()
    assert torch.equal(loaded(CLIP), network(CLIP))
    checkpoint = torch.hub.load_state_dict_from_url(
        path.as_uri(), str(tmp_path / 'hub'), check_hash=True, progress=False
    )
    assert 'fc.weight' in checkpoint['state_dict']


def test_partially_used_storage(tool, network, tmp_path):
    weights = dict(network.state_dict())
    weights['fc.weight'] = torch.randn(1000, 32)[:3]
    torch.save(weights, tmp_path / 'a.pth')
    tool('publish_model.py', tmp_path / 'a.pth', tmp_path / 'net.pth')
    (path,) = tmp_path.glob('net-*.pth')
    assert path.stat().st_size < (tmp_path / 'a.pth').stat().st_size - 100_000


def test_safetensors(tool, trained_dir, tmp_path):
    safetensors = pytest.importorskip('safetensors')
    tool('publish_model.py', trained_dir / 'epoch_2.pth', tmp_path / 'net.safetensors')
    (path,) = tmp_path.iterdir()
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:8] in path.name
    with safetensors.safe_open(path, 'pt') as file:
        header = file.metadata()
        given = load_checkpoint(str(trained_dir / 'epoch_2.pth'))['state_dict']
        assert all(torch.equal(file.get_tensor(name), given[name]) for name in given)
    assert header['norm_eps'] == '{"backbone": 0.001}'
    assert (header['format'], header['epoch']) == ('pt', '2')
    assert 'R2Plus1D' in header['cfg']


def test_invalid_checkpoints(fails, tmp_path):
    out = tmp_path / 'net.pth'
    (tmp_path / 'a.txt').write_text('none')
    torch.save(dict(a=1), tmp_path / 'number.pth')
    torch.save({}, tmp_path / 'empty.pth')
    assert 'none.pth: no such checkpoint file' in fails('publish_model.py', 'none.pth', out)
    assert 'a.txt: not a readable checkpoint' in fails('publish_model.py', tmp_path / 'a.txt', out)
    for name in ('number.pth', 'empty.pth'):
        line = fails('publish_model.py', tmp_path / name, out)
        assert f'{name}: holds no weights by name' in line
    assert not list(tmp_path.glob('net*'))


def test_invalid_output_names(fails, network, tmp_path):
    torch.save(network.state_dict(), tmp_path / 'a.pth')
    line = fails('publish_model.py', tmp_path / 'a.pth', tmp_path / 'net.onnx')
    assert 'net.onnx: name a file that ends in .pth or .safetensors' in line
    (tmp_path / 'file').write_text('')
    line = fails('publish_model.py', tmp_path / 'a.pth', tmp_path / 'file/net.pth')
    assert 'cannot write there' in line


def test_safetensors_keep_the_epsilon(tool, network, tmp_path):
    pytest.importorskip('safetensors')
    torch.save(network.state_dict(), tmp_path / 'a.pth')
    tool('publish_model.py', tmp_path / 'a.pth', tmp_path / 'net.safetensors')
    (path,) = tmp_path.glob('net-*.safetensors')
    loaded = create_model('r2plus1d_18', weights=path).eval()
    assert torch.equal(loaded(CLIP), network(CLIP))


def test_safetensors_without_batch_norm(tool, tmp_path):
    pytest.importorskip('safetensors')
    norm = dict(norm_cfg=dict(type='GN', num_groups=1))
    network = create_model('r2plus1d_18', 3, base_channels=4, **norm)
    torch.save(network.state_dict(), tmp_path / 'a.pth')
    tool('publish_model.py', tmp_path / 'a.pth', tmp_path / 'net.safetensors')
    (path,) = tmp_path.glob('net-*.safetensors')
    loaded = create_model('r2plus1d_18', weights=path, **norm)
    assert torch.equal(loaded.fc.weight, network.fc.weight)

"""Public weights by name, and their download."""

from __future__ import annotations

import hashlib

import pytest
import torch
from servers import folder_server

from r21d_plugin import InputError, PublicWeights, create_model
from r21d_plugin.weights import download, find_weights
from r21d_plugin.weights.public import kinetics_400

from .published import caffe2_blobs, gluoncv, gluoncv_of_vmz, save, seed_norms, write_caffe2

SMALL = dict(base_channels=4)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve a folder, and keep torch.hub's cache in another one; list the requests, too."""
    folder = tmp_path / 'web'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    with folder_server(folder) as (url, requests):
        yield folder, url, requests


@pytest.fixture
def published(server, monkeypatch):
    """Replace weights of ig65m-pytorch with a file of the same format on that server."""
    folder, url, _ = server
    torch.manual_seed(0)
    path = save(seed_norms(create_model('r2plus1d_34', 359, **SMALL)), folder / 'net.pth')
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    real = PublicWeights.R2PLUS1D_34_IG65M_32F
    fake = real.value._replace(url=f'{url}/{path.name}', sha256=sha256)
    monkeypatch.setattr(real, '_value_', fake)
    return path


@pytest.mark.parametrize('weights', PublicWeights, ids=lambda weights: weights.name)
def test_published_values_are_consistent(weights):
    value = weights.value
    name = weights.name.lower()
    assert name.startswith(f'{value.network}_{value.source.lower().partition("-")[0]}')
    assert value.clip_len is None or name.endswith(f'_{value.clip_len}f')
    assert ('_flow_' in name) == (value.in_channels == 2)
    if value.mean is not None:
        assert len(value.mean) == len(value.std) == value.in_channels
    if value.num_classes == 400:
        assert value.training.endswith('Kinetics-400')
    assert value.sha256 is None or f'-{value.sha256}.pth' in value.url
    assert value.sha1 is None or f'-{value.sha1}.pth' in value.url
    assert list(value.metrics.values()) == sorted(
        value.metrics.values(), reverse='UCF101' in value.metrics
    )


@pytest.mark.parametrize('weights', PublicWeights, ids=lambda weights: weights.name)
def test_networks_and_their_epsilon(weights, tmp_path):
    """A file in the published format loads with the epsilon of the table."""
    value = weights.value
    if value.network.startswith('r2plus1d'):
        kwargs = dict(SMALL, midplanes=value.midplanes)
    else:
        kwargs = SMALL
    arguments = (value.num_classes, value.in_channels, value.clip_len)
    model = seed_norms(create_model(value.network, *arguments, **kwargs))
    if value.source == 'VMZ':
        path = write_caffe2(caffe2_blobs(model), tmp_path / 'a.pkl')
    elif value.source == 'GluonCV':
        path = tmp_path / 'a.pth'
        write = gluoncv if value.midplanes == 'block' else gluoncv_of_vmz
        torch.save(write(model), path)
    else:
        path = save(model, tmp_path / 'a.pth')
    loaded = create_model(value.network, weights=path, clip_len=value.clip_len, **SMALL)
    assert loaded.stem[1].eps == value.eps
    state = loaded.state_dict()
    for key, tensor in model.state_dict().items():
        assert key.endswith('num_batches_tracked') or torch.equal(state[key], tensor), key


@pytest.mark.parametrize('weights', PublicWeights, ids=lambda weights: weights.name)
def test_meta(weights):
    """Its keys are those of torchvision's weights, for the member and for find_weights."""
    value, meta = weights.value, weights.meta
    assert meta == find_weights(value.network, weights.name[len(value.network) + 1 :].lower()).meta
    assert (meta['num_classes'], meta['clip_len']) == (value.num_classes, value.clip_len)
    assert meta['crop_size'] == (112, 112)
    assert meta['categories'] is None or len(meta['categories']) == value.num_classes
    assert bool(meta['metrics']) == bool(meta['test'])
    assert not any(' ' in name for name in meta['metrics'])
    assert meta['license']


def test_unpublished_values_are_not_guessed():
    with pytest.raises(InputError, match='EchoNet-Dynamic publishes no mean and deviation'):
        PublicWeights.R2PLUS1D_18_ECHONET_EJECTION_32F.transforms()
    with pytest.raises(InputError, match=r'drive\.google.*: a page, not a file: save'):
        create_model('r2plus1d_18', weights='videomoco_kinetics_32f')


def test_metrics():
    meta = PublicWeights.R2PLUS1D_18_VMZ_KINETICS_8F.meta
    assert meta['metrics'] == {'clip@1': 53.2, 'video@1': 65.3, 'video@5': 85.2}
    assert meta['test'] == '10 clips of a video of Kinetics-400'
    assert meta['license'].startswith('Apache-2.0')
    assert PublicWeights.R2PLUS1D_34_IG65M_8F.meta['metrics'] == {}


def test_addresses_are_different():
    assert len({weights.value.url for weights in PublicWeights}) == len(PublicWeights)


def test_categories_of_kinetics():
    names = kinetics_400()
    assert len(names) == len(set(names)) == 400
    assert (names[0], names[-1]) == ('abseiling', 'zumba')
    assert names == sorted(names), 'r21d prepare numbers classes in this order, too'


@pytest.mark.parametrize('weights', ['ig65m_32f', PublicWeights.R2PLUS1D_34_IG65M_32F])
def test_named_weights(published, weights):
    model = create_model('r2plus1d_34', weights=weights, **SMALL)
    assert model.fc.out_features == 359, 'by the weights'
    expected = torch.load(published, weights_only=True)['fc.weight']
    assert torch.equal(model.fc.weight, expected)


def test_downloaded_once(published, server):
    for _ in range(2):
        create_model('r2plus1d_34', weights='ig65m_32f', **SMALL)
    assert server[2] == ['/net.pth']


def test_any_address(server):
    folder, url, _ = server
    model = create_model('r3d_18', 5, **SMALL)
    torch.save(model.state_dict(), folder / 'best-ade.pth')
    loaded = create_model('r3d_18', 5, weights=f'{url}/best-ade.pth?x=1', **SMALL)
    assert torch.equal(loaded.fc.weight, model.fc.weight)


def test_two_files_of_one_name(server):
    """The second address does not get the cached file of the first."""
    folder, url, _ = server
    for number, name in enumerate(('first', 'second')):
        model = create_model('r3d_18', 5, **SMALL)
        torch.nn.init.constant_(model.fc.bias, number)
        (folder / name).mkdir()
        torch.save(model.state_dict(), folder / name / 'epoch_45.pth')
    for number, name in enumerate(('first', 'second')):
        loaded = create_model('r3d_18', 5, weights=f'{url}/{name}/epoch_45.pth', **SMALL)
        assert loaded.fc.bias.tolist() == [number] * 5


def test_a_truncated_download_is_not_kept(server):
    folder, url, _ = server
    model = create_model('r3d_18', 5, **SMALL)
    torch.save(model.state_dict(), folder / 'a.pth')
    whole = (folder / 'a.pth').read_bytes()
    (folder / 'a.pth').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r'a\.pth: its file was damaged .* deleted: download it'):
        create_model('r3d_18', 5, weights=f'{url}/a.pth', **SMALL)
    (folder / 'a.pth').write_bytes(whole)
    loaded = create_model('r3d_18', 5, weights=f'{url}/a.pth', **SMALL)
    assert torch.equal(loaded.fc.weight, model.fc.weight)


def test_a_file_with_a_wrong_hash_is_deleted(published):
    published.write_bytes(published.read_bytes() + b'x')
    with pytest.raises(InputError, match=r'net\.pth: its SHA-256 begins with \w{8}, where'):
        create_model('r2plus1d_34', weights='ig65m_32f', **SMALL)
    assert not list((published.parents[1] / 'cache').rglob('*.*'))


def test_a_cached_file_is_checked_too(published):
    path = download(PublicWeights.R2PLUS1D_34_IG65M_32F.value.url)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match='SHA-256'):
        create_model('r2plus1d_34', weights='ig65m_32f', **SMALL)


def test_without_a_network(server):
    url = f'{server[1]}/none.pth'
    with pytest.raises(
        InputError, match=r'none\.pth: cannot be downloaded \(File not found\): with'
    ):
        create_model('r3d_18', weights=url)
    with pytest.raises(InputError, match=r'x\.pth: cannot be downloaded \(.*refused\): .* put it'):
        create_model('r3d_18', weights='http://127.0.0.1:9/x.pth')


def test_unknown_names():
    with pytest.raises(
        InputError, match=r"weights 'nope': no such file.* of r3d_18: choose from vm"
    ):
        create_model('r3d_18', weights='nope')
    with pytest.raises(InputError, match=r'of r3d_34: none are published'):
        create_model('r3d_34', weights='ig65m_32f')
    with pytest.raises(InputError, match='weights of r2plus1d_34, not r3d_18'):
        create_model('r3d_18', weights=PublicWeights.R2PLUS1D_34_IG65M_32F)
    with pytest.raises(InputError, match=r'nope\.pth: no such checkpoint file'):
        create_model('r3d_18', weights='nope.pth')

"""Networks in folders in the format of the Hugging Face hub; nothing is downloaded or uploaded."""

import json

import pytest
import torch
from weights.published import seed_norms

from r21d_plugin import InputError, PublicWeights, create_model, load_weights

pytest.importorskip('huggingface_hub')
pytest.importorskip('safetensors')

from huggingface_hub import HfApi, ModelCard

from r21d_plugin.hub import from_pretrained, push_to_hub, save_pretrained

CLIP = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
NETWORKS = [
    ('r2plus1d_18', dict(midplanes='block', norm_cfg=dict(type='BN3d', eps=1e-5))),
    ('r2plus1d_34', dict(num_classes=7)),
    ('r2d_18', dict(clip_len=8, num_classes=3)),
    ('fr2d_18', dict(num_classes=0)),
    ('mc3_18', dict(num_classes=5, drop_rate=0.5)),
    ('rmc2_18', dict(num_classes=5, norm_cfg=dict(type='BN3d', eps=0.1))),
]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return seed_norms(create_model('r3d_18', 3, base_channels=4))


@pytest.mark.parametrize(('name', 'arguments'), NETWORKS, ids=[name for name, _ in NETWORKS])
def test_the_same_outputs(tmp_path, name, arguments):
    torch.manual_seed(0)
    model = seed_norms(create_model(name, base_channels=4, **arguments))
    save_pretrained(model, tmp_path)
    loaded = from_pretrained(tmp_path)
    assert torch.equal(loaded(CLIP), model(CLIP))
    assert not loaded.training
    assert json.loads((tmp_path / 'config.json').read_text())['name'] == name
    assert loaded.drop_rate == model.drop_rate
    loaded.save_pretrained(tmp_path / 'again')
    assert torch.equal(from_pretrained(tmp_path / 'again')(CLIP), model(CLIP))


@pytest.mark.parametrize('clip_len', [1, 3])
def test_short_clips_of_r2d(tmp_path, clip_len):
    """The shapes of f-R2D and MC2."""
    model = create_model('r2d_18', 5, clip_len=clip_len, base_channels=4).eval()
    save_pretrained(model, tmp_path)
    loaded = from_pretrained(tmp_path)
    clip = CLIP[:, :, :clip_len]
    assert (loaded.arguments['name'], loaded.clip_len) == ('r2d_18', clip_len)
    assert torch.equal(loaded(clip), model(clip))


def test_two_channels_and_what_is_known(tmp_path):
    meta = PublicWeights.R2PLUS1D_34_VMZ_SPORTS1M_KINETICS_FLOW_32F.meta
    model = create_model('r2plus1d_34', 400, 2, base_channels=4)
    save_pretrained(model, tmp_path, meta)
    loaded = from_pretrained(tmp_path)
    assert loaded.in_channels == 2
    assert loaded.meta['mean'] == list(meta['mean'])
    assert loaded.meta['categories'] == meta['categories']
    save_pretrained(loaded, tmp_path / 'again')
    assert from_pretrained(tmp_path / 'again').meta == loaded.meta


def test_the_card(tmp_path, model):
    save_pretrained(model, tmp_path)
    card = ModelCard.load(tmp_path / 'README.md')
    assert card.data.library_name == 'r21d_plugin'
    assert card.data.pipeline_tag == 'video-classification'
    (tmp_path / 'README.md').write_text('mine')
    save_pretrained(model, tmp_path)
    assert (tmp_path / 'README.md').read_text() == 'mine'


def test_push(tmp_path, model, monkeypatch):
    """A stand-in of huggingface_hub receives the upload."""

    def create_repo(api, repo_id, **kwargs):
        assert kwargs['private']
        return type('Repository', (), dict(repo_id=repo_id))

    def upload_folder(api, *, repo_id, folder_path, **kwargs):
        folder_path.rename(tmp_path / 'uploaded')
        return f'https://huggingface.co/{repo_id}/commit/1'

    monkeypatch.setattr(HfApi, 'create_repo', create_repo)
    monkeypatch.setattr(HfApi, 'upload_folder', upload_folder)
    assert push_to_hub(model, 'me/mine', private=True).endswith('/me/mine/commit/1')
    names = {path.name for path in (tmp_path / 'uploaded').iterdir()}
    assert names == {'README.md', 'config.json', 'model.safetensors'}
    assert "from_pretrained('me/mine')" in (tmp_path / 'uploaded/README.md').read_text()
    assert torch.equal(from_pretrained(tmp_path / 'uploaded')(CLIP), model(CLIP))


def test_unsupported_models(tmp_path, model):
    with pytest.raises(InputError, match='has no classifier: save a network of create_model'):
        save_pretrained(create_model('r3d_18', features_only=True, base_channels=4), tmp_path)
    model.fc = torch.nn.Sequential(model.fc, torch.nn.ReLU())
    with pytest.raises(InputError, match='the network was altered'):
        save_pretrained(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_new_classifier(tmp_path, model):
    """The folder of a network that was finetuned on other classes."""
    save_pretrained(model, tmp_path / 'a', dict(categories=['a', 'b', 'c'], fps=15))
    network = from_pretrained(tmp_path / 'a')
    network.reset_classifier(2)
    for name, save in (
        ('b', network.save_pretrained),
        ('c', lambda f: save_pretrained(network, f)),
    ):
        save(tmp_path / name)
        loaded = from_pretrained(tmp_path / name)
        assert torch.equal(loaded(CLIP), network(CLIP))
        assert loaded.meta == dict(fps=15)


def test_other_weights_bring_their_epsilon(tmp_path, model):
    save_pretrained(model, tmp_path / 'a')
    network = from_pretrained(tmp_path / 'a')
    other = seed_norms(
        create_model('r3d_18', 3, base_channels=4, norm_cfg=dict(type='BN3d', eps=0.1))
    )
    torch.save(other.state_dict(), tmp_path / 'other.pth')
    load_weights(network, tmp_path / 'other.pth')
    assert torch.equal(network(CLIP), other(CLIP))
    network.save_pretrained(tmp_path / 'b')
    assert torch.equal(from_pretrained(tmp_path / 'b')(CLIP), other(CLIP))


def test_meta_that_does_not_fit(tmp_path, model):
    with pytest.raises(InputError, match=r"meta\['categories'\]: has 2 items, and the network 3"):
        save_pretrained(model, tmp_path, dict(categories=['a', 'b']))
    with pytest.raises(InputError, match='meta: Object of type Tensor is not JSON'):
        save_pretrained(model, tmp_path, dict(mean=CLIP))
    with pytest.raises(InputError, match=r"meta\['mean'\]=0.5: give a list of 3"):
        save_pretrained(model, tmp_path, dict(mean=0.5))


def test_a_folder_that_cannot_be_written(tmp_path, model):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='file: cannot write there'):
        save_pretrained(model, tmp_path / 'file')


def test_folders_without_a_network(tmp_path, model):
    with pytest.raises(InputError, match=r'no config[.]json in it'):
        from_pretrained(tmp_path)
    save_pretrained(model, tmp_path)
    config = json.loads((tmp_path / 'config.json').read_text())
    for key, value, message in (
        ('name', 'r9d', "no network 'r9d'"),
        ('num_classes', 4, 'with num_classes=3, not num_classes=4'),
        ('norm_eps', 'much', 'could not convert'),
    ):
        (tmp_path / 'config.json').write_text(json.dumps({**config, key: value}))
        with pytest.raises(InputError, match=message):
            from_pretrained(tmp_path)
    (tmp_path / 'config.json').write_text(json.dumps(config))
    weights = tmp_path / 'model.safetensors'
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match='cannot be loaded: '):
        from_pretrained(tmp_path)


def test_unknown_repository(tmp_path):
    with pytest.raises(InputError, match='me/none: cannot be loaded: '):
        from_pretrained('me/none', local_files_only=True, cache_dir=tmp_path)

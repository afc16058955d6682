"""From mim download to a tested or finetuned network, with a file in VMZ's format."""

from importlib import import_module
from urllib.parse import urlsplit

import pytest
import torch
from servers import folder_server
from support import OPTIONS, ROOT
from weights.published import caffe2_blobs, seed_norms, write_caffe2

from r21d_plugin import PublicWeights, create_model

DOWNLOAD = import_module('mim.commands.download')  # mim.commands also has a function of this name
VMZ = PublicWeights.R2PLUS1D_18_VMZ_KINETICS_8F.value


@pytest.fixture
def web(tmp_path, monkeypatch):
    """Serve a small network of that format in place of the published file."""
    torch.manual_seed(0)
    model = seed_norms(create_model('r2plus1d_18', 400, base_channels=4))
    file = tmp_path / 'web' / urlsplit(VMZ.url).path.lstrip('/')
    file.parent.mkdir(parents=True)
    write_caffe2(caffe2_blobs(model), file)
    original = DOWNLOAD.get_model_info

    def nearer(*args, **kwargs):
        models = original(*args, **kwargs)
        for info in models.values():
            info['weight'] = info['weight'].replace('https://www.dropbox.com', address)
        return models

    monkeypatch.setattr(DOWNLOAD, 'get_model_info', nearer)
    with folder_server(tmp_path / 'web') as (address, _):
        yield file


def test_mim_download_then_test(web, tool, in_kinetics, tmp_path, capsys):
    DOWNLOAD.download('r21d_plugin', [VMZ.config], str(tmp_path / 'zoo'))
    names = {path.name for path in (tmp_path / 'zoo').iterdir()}
    assert names == {'r2.5d_d18_l8.pkl', f'{VMZ.config}.py'}
    config, weights = tmp_path / f'zoo/{VMZ.config}.py', tmp_path / 'zoo/r2.5d_d18_l8.pkl'
    tool('test.py', config, weights, '--work-dir', tmp_path / 'work', *OPTIONS)
    out = capsys.readouterr().out
    assert "a Caffe2 pickle of VMZ, the authors' release, R(2+1)D-18" in out
    assert '187 of 224 tensors are loaded, all' in out
    assert 'video@1: ' in out


def test_finetuning(web, tool, in_kinetics, tmp_path, capsys):
    config = ROOT / 'configs/r2plus1d_18_kinetics.py'
    classes = ['model.cls_head.num_classes=7', 'train_dataloader.dataset.num_classes=7']
    once = [f'load_from={web}', 'train_cfg.max_epochs=1', *classes]
    tool('train.py', config, '--no-validate', '--work-dir', tmp_path / 'work', *OPTIONS, *once)
    out = capsys.readouterr().out
    assert 'new: cls_head.fc_cls.bias, cls_head.fc_cls.weight' in out
    trained = torch.load(tmp_path / 'work/epoch_1.pth', weights_only=False)['state_dict']
    begun = create_model('r2plus1d_18', 400, base_channels=4, weights=str(web))
    difference = trained['backbone.layer4.1.conv2.0.3.weight'] - begun.layer4[1].conv2[0][3].weight
    assert 0 < difference.abs().max() < 0.1, 'it began with the weights, and learned'


def test_another_network_than_the_config(web, fails, in_kinetics, tmp_path):
    config = ROOT / 'configs/r3d_18_kinetics.py'
    message = fails('test.py', config, web, '--work-dir', tmp_path / 'work', *OPTIONS)
    assert 'r2.5d_d18_l8.pkl: weights of another network: R(2+1)D-18, not R3D-18' in message

"""What CONTRIBUTING.md says, done: a network, a dataset and public weights are added."""

import hashlib
import json
import re
import runpy
import shutil
import sys
import textwrap

import pytest
import torch
from mmengine.config import Config
from servers import http_server, send
from support import ROOT, parse_config_name, shell, write_video

from r21d_plugin import create_model, list_models
from r21d_plugin.datasets import annotations
from r21d_plugin.models import factory
from r21d_plugin.registry import DATASETS, MODELS
from r21d_plugin.version import __version__

PAGE = (ROOT / 'CONTRIBUTING.md').read_text('utf-8')
SNIPPETS = re.findall(r'^ {4}```(?:python|json)\n(.*?)^ {4}```', PAGE, re.DOTALL | re.MULTILINE)
ROW, CONFIG, READER, BASE, CONFIG_OF_DATASET, WEIGHTS = map(textwrap.dedent, SNIPPETS)
CLIPS = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def row(monkeypatch):
    """Add the row that the page shows, for 18 layers."""
    rows = eval(f'{{{ROW}}}', dict(depth=18))
    for name, cfg in rows.items():
        monkeypatch.setitem(factory.NETWORKS, name, cfg)


def test_the_row_gives_create_model_a_network(row, tmp_path):
    assert 'my_network_18' in list_models()
    model = create_model('my_network_18', num_classes=7).eval()
    stem = create_model('r2plus1d_18').stem
    assert [*model.stem.state_dict()] == [*stem.state_dict()]
    assert model.layer4[1].conv1[0].kernel_size == (1, 3, 3)
    # conv1 to conv3_x as R(2+1)D's, which halve the time once; conv4_x and conv5_x keep it.
    assert model.forward_features(CLIPS).shape == (1, 512, 4, 2, 2)
    torch.save(model.state_dict(), tmp_path / 'mine.pth')
    loaded = create_model('my_network_18', num_classes=7, weights=tmp_path / 'mine.pth').eval()
    assert torch.equal(loaded(CLIPS), model(CLIPS))


def test_the_config_builds_the_same_network(row, tmp_path):
    path = tmp_path / 'my_network_18_kinetics.py'
    path.write_text(with_our_bases(CONFIG))
    assert parse_config_name(path.stem)[0] == 'my_network_18'
    recognizer = MODELS.build(Config.fromfile(path).model)
    expected = create_model('my_network_18', features_only=True).state_dict()
    found = recognizer.backbone.state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}
    assert recognizer.cls_head.num_classes == 400


def with_our_bases(config):
    """The text of a config, for another folder."""
    return config.replace("'_base_/", f"'{ROOT}/configs/_base_/")


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Six videos of two classes, and the annotations that the page's reader reads."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'VIDEOS').mkdir()
    lines = ['file,label,split']
    for i in range(6):
        write_video(tmp_path / f'VIDEOS/{i}.mp4', frames=10, seed=i)
        lines.append(f'{i}.mp4,{"run" if i % 2 else "jump"},{"train" if i < 4 else "val"}')
    (tmp_path / 'labels.csv').write_text('\n'.join(lines))


def test_a_dataset(dataset, tmp_path, monkeypatch):
    for name in ('READERS', 'CLASSES'):
        monkeypatch.setattr(annotations, name, dict(getattr(annotations, name)))
    exec(READER, vars(annotations).copy())
    (command,) = re.findall(r'^r21d (prepare mydataset .*)$', PAGE, re.MULTILINE)
    monkeypatch.setattr(sys, 'argv', [*command.split(), '--workers', '1'])
    runpy.run_path(str(ROOT / 'tools/data/prepare.py'), run_name='__main__')

    base, config = tmp_path / 'mydataset.py', tmp_path / 'r2plus1d_18_mydataset.py'
    base.write_text(BASE.replace("'benchmark.py'", f"'{ROOT}/configs/_base_/benchmark.py'"))
    config.write_text(
        with_our_bases(CONFIG_OF_DATASET.replace("'_base_/mydataset.py'", "'mydataset.py'"))
    )
    assert parse_config_name(config.stem) == ('r2plus1d_18', None, 'mydataset', 8, None)
    cfg = Config.fromfile(config)
    assert MODELS.build(cfg.model).cls_head.num_classes == 2
    videos = DATASETS.build(cfg.train_dataloader.dataset)
    assert videos.metainfo['classes'] == ('jump', 'run')
    assert [int(videos[i]['data_samples'].gt_label) for i in range(4)] == [0, 1, 0, 1]
    assert videos[0]['inputs'].shape == (1, 3, 8, 112, 112)
    labels = [
        info['label']
        for info in map(DATASETS.build(cfg.val_dataloader.dataset).get_data_info, (0, 1))
    ]
    assert labels == [0, 1]


def test_public_weights(tmp_path):
    """In a copy of the package, with a file on this machine in place of that of the row."""
    package = tmp_path / 'r21d_plugin'
    ignored = shutil.ignore_patterns('.mim', '__pycache__')
    shutil.copytree(ROOT / 'r21d_plugin', package, ignore=ignored)
    table = package / 'weights/public.json'
    content = json.loads(table.read_text())
    ((name, row),) = json.loads(f'{{{WEIGHTS}}}').items()
    model = create_model(row['network'], num_classes=400)
    torch.save(dict(model.state_dict()), tmp_path / 'file')
    file = (tmp_path / 'file').read_bytes()
    row['sha256'] = hashlib.sha256(file).hexdigest()[:8]
    content['licenses'][row['source']] = 'MIT (repository)'
    content['weights'][name] = row
    code = f"""
import torch
from r21d_plugin import PublicWeights, create_model, list_weights
assert 'me_kinetics_16f' in list_weights('r3d_18')
model = create_model('r3d_18', weights='me_kinetics_16f')
assert torch.equal(model.fc.weight, torch.load('file', weights_only=True)['fc.weight'])
meta = PublicWeights.{name.upper()}.meta
assert (meta['license'], meta['eps']) == ('MIT (repository)', model.stem[1].eps)
"""
    with http_server(lambda request: send(request, file)) as address:
        row['url'] = f'{address}/r3d_18-{row["sha256"]}.pth'
        table.write_text(json.dumps(content))
        environment = dict(PYTHONPATH=str(tmp_path), TORCH_HOME=str(tmp_path / 'cache'))
        shell(sys.executable, '-c', code, cwd=tmp_path, **environment)


def test_version_is_that_of_the_citation_and_the_changes():
    assert f'\nversion: {__version__}\n' in (ROOT / 'CITATION.cff').read_text('utf-8')
    assert f'\n## [{__version__}]' in (ROOT / 'CHANGELOG.md').read_text('utf-8')

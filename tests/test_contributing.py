"""What CONTRIBUTING.md says, done: a thirteenth network by one row and one config."""

import re

import pytest
import torch
from mmengine.config import Config
from support import ROOT

from r21d_plugin import create_model, list_models
from r21d_plugin.models import factory
from r21d_plugin.registry import MODELS
from r21d_plugin.version import __version__

PAGE = (ROOT / 'CONTRIBUTING.md').read_text('utf-8')
ROW, CONFIG = re.findall(r'^ {4}```python\n(.*?)^ {4}```', PAGE, re.DOTALL | re.MULTILINE)
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
    bases = CONFIG.replace("'_base_/", f"'{ROOT}/configs/_base_/")
    path = tmp_path / 'my_network_18_kinetics.py'
    path.write_text(re.sub('^    ', '', bases, flags=re.MULTILINE))
    recognizer = MODELS.build(Config.fromfile(path).model)
    expected = create_model('my_network_18', features_only=True).state_dict()
    found = recognizer.backbone.state_dict()
    assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}
    assert recognizer.cls_head.num_classes == 400


def test_version_is_that_of_the_citation_and_the_changes():
    assert f'\nversion: {__version__}\n' in (ROOT / 'CITATION.cff').read_text('utf-8')
    assert f'\n## [{__version__}]' in (ROOT / 'CHANGELOG.md').read_text('utf-8')

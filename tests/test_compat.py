import importlib
import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from support import ROOT
from torch import nn

import r21d_plugin_startup
from r21d_plugin import compat


def test_mmaction_models_import_and_the_stand_in_says_what_it_is():
    from mmaction.models.localizers import DRN

    if DRN.__module__ == 'r21d_plugin_startup':
        with pytest.raises(ImportError, match='git checkout'):
            DRN()


def test_the_stand_in_steps_aside_for_the_real_folder(tmp_path):
    folder = tmp_path / 'mmaction/models/localizers/drn'
    folder.mkdir(parents=True)
    for package in (folder, *folder.parents[:3]):
        (package / '__init__.py').touch()
    (folder / 'drn.py').write_text("DRN = 'the real one'")
    code = """
import r21d_plugin_startup
from mmaction.models.localizers.drn.drn import DRN
assert DRN == 'the real one'
"""
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    subprocess.run([sys.executable, '-S', '-c', code], check=True, env={'PYTHONPATH': path})


def test_a_transformers_that_mmaction2_cannot_use(tmp_path):
    (tmp_path / 'transformers').mkdir()
    (tmp_path / 'transformers/__init__.py').touch()
    (tmp_path / 'transformers-5.0.dist-info').mkdir()
    (tmp_path / 'transformers-5.0.dist-info/METADATA').write_text(
        'Metadata-Version: 2.1\nName: transformers\nVersion: 5.0\n'
    )
    code = """
import r21d_plugin
from mmaction.registry import MODELS
assert MODELS.get('r21d_plugin.R2Plus1D')
try:
    MODELS.build(dict(type='mmaction.VindLUVQA'))
except ImportError as error:
    assert 'multi-modal' in str(error)
else:
    raise AssertionError
"""
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    subprocess.run([sys.executable, '-c', code], check=True, env={**os.environ, 'PYTHONPATH': path})


def test_nothing_but_the_missing_folder_is_found():
    assert r21d_plugin_startup.DRNFinder.find_spec('mmaction.models.localizers.bmn') is None


def test_missing_mmcv_gets_the_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'r21d_plugin\[lite\]'"):
        compat.require_mmcv()


def test_mmengines_checkpoints_load_safely(tmp_path):
    buffer = HistoryBuffer(log_history=[1.0, 3.0], count_history=[1, 1])
    content = dict(buffer=buffer, scalar=np.float64(2.5), integer=np.int64(3), array=np.ones(2))
    torch.save(content, tmp_path / 'a.pth')
    loaded = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert loaded['buffer'].mean() == 2
    assert (loaded['scalar'], loaded['integer']) == (2.5, 3)


@pytest.mark.parametrize(
    ('owner', 'name'), [(HistoryBuffer, '__init__'), (ModuleType, 'mean'), (str, 'max')]
)
def test_getattr_in_a_checkpoint_reaches_statistics_only(owner, name):
    assert compat.statistics_method(HistoryBuffer, 'mean') is HistoryBuffer.mean
    with pytest.raises(Exception, match='getattr'):
        compat.statistics_method(owner, name)


def test_two_time_steps_are_kept_out_of_bf16():
    conv = nn.Conv3d(1, 1, (3, 1, 1), padding=(1, 0, 0))
    two, four = torch.zeros(1, 1, 2, 1, 1), torch.zeros(1, 1, 4, 1, 1)
    assert not compat.bf16_weight_gradient_is_wrong(two, conv)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert compat.bf16_weight_gradient_is_wrong(two, conv)
        assert not compat.bf16_weight_gradient_is_wrong(four, conv)
        with torch.no_grad():
            assert not compat.bf16_weight_gradient_is_wrong(two, conv)


def test_apply_twice_is_harmless():
    code = 'import r21d_plugin.compat as c; c.apply(); c.apply(); import mmaction.models'
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, capture_output=True)


def test_opencv_reads_png_beside_decord():
    code = """
import r21d_plugin, cv2, numpy as np
assert cv2.imdecode(cv2.imencode('.png', np.zeros((8, 8)))[1], 0) is not None
"""
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)

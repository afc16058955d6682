"""Workarounds for defects of MMEngine, MMAction2 and related packages."""

import importlib
import os
import subprocess
import sys
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from support import ROOT

from r21d_plugin import InputError, _mm_fixes, _mm_import
from r21d_plugin.weights import RefusalError
from r21d_plugin.weights.checkpoint_files import plain_names

pytestmark = pytest.mark.slow


def test_mmaction_models_import_and_the_stub_explains_itself():
    _mm_import.import_models()
    from mmaction.models.localizers import DRN

    if DRN.__module__ == 'r21d_plugin._mm_import':
        with pytest.raises(ImportError, match='git checkout'):
            DRN()


def test_the_stub_is_not_used_if_the_folder_exists(tmp_path):
    folder = tmp_path / 'mmaction/models/localizers/drn'
    folder.mkdir(parents=True)
    for package in (folder, *folder.parents[:3]):
        (package / '__init__.py').touch()
    (folder / 'drn.py').write_text("DRN = 'the real one'")
    code = """
import sys
from r21d_plugin._mm_import import DRNFinder
sys.meta_path.append(DRNFinder)
from mmaction.models.localizers.drn.drn import DRN
assert DRN == 'the real one'
"""
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    subprocess.run([sys.executable, '-c', code], check=True, env={**os.environ, 'PYTHONPATH': path})


def test_a_transformers_release_that_mmaction2_does_not_support(tmp_path):
    (tmp_path / 'transformers').mkdir()
    (tmp_path / 'transformers/__init__.py').touch()
    (tmp_path / 'transformers-5.0.dist-info').mkdir()
    (tmp_path / 'transformers-5.0.dist-info/METADATA').write_text(
        'Metadata-Version: 2.1\nName: transformers\nVersion: 5.0\n'
    )
    code = """
import r21d_plugin.registry
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


def test_missing_mmcv_gets_the_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'r21d_plugin\[lite\]'"):
        _mm_import.import_models()


def test_mmengines_checkpoints_load_safely(tmp_path):
    """MMEngine's own loader does this in our commands; what torch.load allows stays unchanged."""
    buffer = HistoryBuffer(log_history=[1.0, 3.0], count_history=[1, 1])
    content = dict(buffer=buffer, scalar=np.float64(2.5), integer=np.int64(3), array=np.ones(2))
    torch.save(dict(state_dict={}, **content), tmp_path / 'a.pth')
    torch.save(dict(state_dict={}, code=os.system), tmp_path / 'b.pth')
    code = """
import sys, torch
from r21d_plugin import InputError, _mm_fixes
from mmengine.runner import CheckpointLoader
_mm_fixes.apply()
_mm_fixes.apply()
loaded = CheckpointLoader.load_checkpoint('a.pth', map_location='cpu')
assert loaded['buffer'].mean() == 2
assert (loaded['scalar'], loaded['integer']) == (2.5, 3)
assert 'HistoryBuffer' not in str(getattr(torch.serialization, 'get_safe_globals', list)())
try:
    CheckpointLoader.load_checkpoint('b.pth')
except InputError as error:
    assert 'could run code' in str(error)
else:
    raise AssertionError
"""
    command = [sys.executable, '-W', 'ignore', '-c', code]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)})


@pytest.mark.parametrize(
    ('owner', 'name'), [(HistoryBuffer, '__init__'), (ModuleType, 'mean'), (str, 'max')]
)
def test_getattr_in_a_checkpoint_reaches_statistics_only(owner, name):
    statistics_method = plain_names()['builtins getattr']
    assert statistics_method(HistoryBuffer, 'mean') is HistoryBuffer.mean
    with pytest.raises(RefusalError, match='getattr'):
        statistics_method(owner, name)


@pytest.mark.parametrize('factor', [-0.1, -0.02, 0.1])
def test_hues_shift_in_either_direction(factor):
    img = np.float32([[[255, 0, 0], [0, 0, 255], [100, 100, 100]]])
    hues = cv2.cvtColor(np.uint8(img), cv2.COLOR_RGB2HSV)[0, :, 0].astype(int)
    shifted = _mm_fixes.shift_hue(img, factor)
    assert shifted.dtype == np.float32
    found = cv2.cvtColor(np.uint8(shifted), cv2.COLOR_RGB2HSV)[0, :2, 0]
    np.testing.assert_array_equal(found, (hues[:2] + int(factor * 255)) % 180)
    np.testing.assert_array_equal(shifted[0, 2], img[0, 2])


def test_importing_does_not_change_mmengine():
    """Only our commands change it."""
    code = """
import numpy as np
from mmengine.config import Config
from mmengine.fileio import get_file_backend
from mmengine.runner import CheckpointLoader
from mmaction.datasets.transforms import ColorJitter
def state():
    schemes = CheckpointLoader._schemes.copy()
    removed = [hasattr(np, name) for name in ('NAN', 'Inf')]
    return [schemes, type(get_file_backend('a')), ColorJitter.adjust_hue, removed]
dump, before = Config.dump, state()
import r21d_plugin.registry, r21d_plugin._mm_fixes, r21d_plugin.cli.launch
assert state() == before
r21d_plugin._mm_fixes.apply()
assert all(new != old for new, old in zip(state(), before))
assert Config.dump is dump
"""
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, env=env)


def test_opencv_reads_png_beside_decord():
    code = """
import r21d_plugin.registry, cv2, numpy as np
assert cv2.imdecode(cv2.imencode('.png', np.zeros((8, 8)))[1], 0) is not None
"""
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True)

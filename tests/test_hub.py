"""The checkout as a repository of torch.hub."""

import subprocess
import sys

from support import ROOT


def test_load_from_a_checkout(tmp_path):
    code = f"""
import torch
model = torch.hub.load({str(ROOT)!r}, 'r2plus1d_18', source='local', num_classes=5)
assert sum(p.numel() for p in model.parameters()) == 33_168_204, model
import sys
sys.path.insert(0, {str(ROOT)!r})
import hubconf
from r21d_plugin import list_models
names = [name for name in dir(hubconf) if callable(getattr(hubconf, name)) and name[0] != '_']
assert names == sorted(list_models()), names
assert hubconf.r3d_34.__doc__.startswith('Build a network')
"""
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, cwd=tmp_path)

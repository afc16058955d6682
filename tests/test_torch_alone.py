"""Parts that work with torch and NumPy alone, and the errors of all others."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KEPT = ('numpy', 'torch', 'typing_extensions', 'sympy', 'mpmath', 'filelock', 'fsspec', 'jinja2')
KEPT += ('markupsafe', 'networkx', 'packaging', 'setuptools', 'nvidia', 'triton', 'cuda')

NETWORKS = """
import sys, torch
import hubconf, r21d_plugin
assert r21d_plugin.list_weights('r2plus1d_34')
model = r21d_plugin.create_model('r2plus1d_18', num_classes=3, base_channels=8).eval()
clip = torch.randn(1, 3, 8, 32, 32)
expected = model(clip)
torch.save(model.state_dict(), sys.argv[1])
other = hubconf.r2plus1d_18(num_classes=3, base_channels=8).eval()
r21d_plugin.load_weights(other, sys.argv[1])
assert torch.equal(other(clip), expected)
torch.testing.assert_close(r21d_plugin.accelerate(other)(clip), expected, rtol=1e-3, atol=1e-3)
"""

MODULES = """
import importlib
for name in ('registry', 'datasets', 'engine', 'evaluation', 'inference', 'pytorchvideo', 'hub'):
    try:
        importlib.import_module('r21d_plugin.' + name)
    except ImportError as error:
        print(name, type(error).__name__, error, sep=': ')
"""

TOOLS = """
import runpy, sys
for script in sys.argv[1:]:
    sys.argv = [script, '--help']
    try:
        runpy.run_path(script, run_name='__main__')
    except SystemExit as error:
        print(script, error.code, sep=': ')
"""


@pytest.fixture(scope='module')
def alone(tmp_path_factory) -> Path:
    """Make a folder with torch, NumPy and their dependencies only."""
    folder = tmp_path_factory.mktemp('packages')
    for path in Path(sysconfig.get_paths()['purelib']).iterdir():
        if path.name.lower().startswith(KEPT):
            (folder / path.name).symlink_to(path)
    return folder


def run(packages: Path, code: str, *arguments: object) -> list[str]:
    """Run a program that can import nothing else; return its lines."""
    command = [sys.executable, '-S', '-c', code, *map(str, arguments)]
    env = dict(os.environ, PYTHONPATH=f'{packages}{os.pathsep}{ROOT}', OMP_NUM_THREADS='1')
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_networks_and_weights_need_nothing_else(alone, tmp_path):
    assert run(alone, NETWORKS, tmp_path / 'weights.pth') == []


def test_imports_say_how_to_install_a_missing_package(alone):
    lines = run(alone, MODULES)
    assert lines[0].startswith('registry: ')
    assert lines[-1].startswith('hub: ')
    assert lines[-1].endswith("pip install 'r21d_plugin[hub]'")
    assert all('MissingPackageError: ' in line and ' is missing: pip ' in line for line in lines)


def test_tools_say_how_to_install_a_missing_package(alone):
    tools = [
        path
        for path in sorted((ROOT / 'tools').rglob('*.py'))
        if 'benchmark' not in path.parts and path.name != 'write_docs.py'  # for developers
    ]
    lines = [line for line in run(alone, TOOLS, *tools) if line.startswith(str(ROOT / 'tools'))]
    assert [line.partition(': ')[0] for line in lines] == [*map(str, tools)]
    refused = [line for line in lines if not line.endswith(': 0')]
    assert refused
    assert all('.py: error: ' in line and ' is missing: pip ' in line for line in refused)

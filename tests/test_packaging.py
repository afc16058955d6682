"""The wheel and the source distribution: they install, and contain what users need."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from support import ROOT, copy_source, shell

PIP = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-build-isolation']
PIP += ['--no-index', '--no-compile', '--target']
TEMPLATES = 'r21d_plugin/evaluation/report/templates'
DEVELOPERS = ('benchmark', 'demo.sh', 'write_docs.py')


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """Return a folder in which the package is installed, from a wheel or a source distribution."""
    root = tmp_path_factory.mktemp('installed')
    source = copy_source(root / 'source')
    (source / 'tools/__pycache__').mkdir()
    (source / 'tools/__pycache__/train.cpython-311.pyc').touch()
    code = "import build_backend; build_backend.build_sdist('..')"
    shell(sys.executable, '-c', code, cwd=source)
    shell(*PIP, root / 'sdist', next(root.glob('*.tar.gz')), cwd=root)
    shell(*PIP, root / 'wheel', source, cwd=root)
    shutil.rmtree(source)
    return root


def files(folder: Path) -> set[str]:
    """Paths of all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()}


def test_a_source_distribution_installs_as_a_wheel_does(installed):
    kinds = [
        {name for name in files(installed / kind) if 'dist-info' not in name}
        for kind in ('sdist', 'wheel')
    ]
    assert kinds[0] == kinds[1]
    assert {'r21d_plugin/py.typed', 'r21d_plugin/weights/kinetics_400.txt'} <= kinds[0]
    assert {f'{TEMPLATES}/page.html', f'{TEMPLATES}/page.css'} <= kinds[0]
    code = 'import r21d_plugin; print(r21d_plugin.__file__, *r21d_plugin.list_models())'
    out = shell(sys.executable, '-c', code, cwd=installed, PYTHONPATH=str(installed / 'sdist'))
    assert str(installed / 'sdist/r21d_plugin') in out
    assert 'r2plus1d_18' in out


def test_all_configs_and_the_tools_that_users_run_are_installed(installed):
    mim = installed / 'wheel/r21d_plugin/.mim'
    configs, tools = (
        {path for path in files(ROOT / folder) if not path.endswith('.pyc')}
        for folder in ('configs', 'tools')
    )
    assert files(mim / 'configs') == configs
    expected = {path for path in tools if not path.startswith(DEVELOPERS)}
    assert files(mim / 'tools') == expected
    assert 'train.py' in expected


def test_every_tool_is_a_program(installed):
    """If a tool had no main, mim would run it, do nothing and report success."""
    for path in (installed / 'wheel/r21d_plugin/.mim/tools').rglob('*.py'):
        code = path.read_text()
        assert "if __name__ == '__main__':" in code, path
        assert 'from tools' not in code, f'{path} needs a checkout'
        assert 'from experiments' not in code, f'{path} needs a checkout'

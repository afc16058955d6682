"""A wheel in a separate environment, used by its commands and by mim."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from forks import serve, write_script
from support import OPTIONS, copy_source, shell

pytestmark = pytest.mark.slow

SCRIPTS = {'mim': ('mim.cli', 'cli'), 'r21d': ('r21d_plugin.cli.main', 'main')}


@pytest.fixture(scope='module')
def wheel_bin(tmp_path_factory) -> Path:
    """Return the scripts of an environment with our wheel and access to the dependencies."""
    root = tmp_path_factory.mktemp('wheel')
    source = copy_source(root / 'source')
    wheel = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--quiet']
    subprocess.run([*wheel, '--wheel-dir', root, source], check=True)
    shutil.rmtree(source)

    venv.create(root / 'env', with_pip=False)
    site_packages = next((root / 'env').glob('lib/python*/site-packages'))
    shutil.unpack_archive(next(root.glob('*.whl')), site_packages, 'zip')
    # A path file's folder is not searched for path files of its own, so the
    # checkout that this environment may have installed stays out of sight.
    dependencies = [path for path in sys.path if path.endswith('site-packages')]
    (site_packages / 'dependencies.pth').write_text('\n'.join(dependencies))
    (metadata,) = site_packages.glob('r21d_plugin-*.dist-info/entry_points.txt')
    assert 'r21d = r21d_plugin.cli.main:main' in metadata.read_text()
    for name, function in SCRIPTS.items():
        write_script(root / 'env/bin/python', name, *function)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv('PYTHONPATH', raising=False)
        yield root / 'env/bin'


@pytest.fixture(scope='module')
def quick_bin(wheel_bin, tmp_path_factory) -> Path:
    """Return the same scripts, in a process in which all packages are imported."""
    folder = tmp_path_factory.mktemp('quick')
    with serve(folder, wheel_bin / 'python') as python:
        for name, function in SCRIPTS.items():
            write_script(python, name, *function)
        yield folder


def test_mim_trains_and_tests(kinetics, wheel_bin, quick_bin, tmp_path):
    config = ['r21d_plugin', 'configs/r2plus1d_34_flow_kinetics.py']
    options = ['--work-dir', tmp_path, *OPTIONS, 'train_cfg.max_epochs=1']
    out = shell(wheel_bin / 'mim', 'train', *config, '--gpus', 0, *options, cwd=kinetics)
    assert 'Training finished successfully.' in out
    assert str(wheel_bin.parent) in out
    checkpoint = ['--checkpoint', tmp_path / 'epoch_1.pth']
    out = shell(quick_bin / 'mim', 'test', *config, *checkpoint, *options, cwd=kinetics)
    assert 'clip@1: ' in out
    assert 'video@5: ' in out


def test_r21d(kinetics, wheel_bin, quick_bin, tmp_path):
    """Outside a checkout, it finds the configs of the package."""
    wrong = subprocess.run([wheel_bin / 'r21d', 'tran'], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith('error: tran: no such command: choose from train, test, ')

    code = tmp_path / 'file.py'
    code.write_text('import r21d_plugin; print(r21d_plugin.__file__)')
    for python in (wheel_bin / 'python', quick_bin / 'python'):
        assert str(wheel_bin.parent) in shell(python, code, cwd=kinetics)
    r21d = quick_bin / 'r21d'
    assert not (kinetics / 'configs').exists()
    config = 'configs/r2plus1d_18_kinetics.py'
    run = ['--device', 'cpu', '--work-dir', tmp_path, *OPTIONS, 'train_cfg.max_epochs=1']
    shell(r21d, 'train', config, *run, cwd=kinetics)
    checkpoint = tmp_path / 'epoch_1.pth'
    out = shell(r21d, 'test', config, checkpoint, *run, cwd=kinetics)
    assert 'video@5: ' in out
    network = ['--config', config, '--checkpoint', checkpoint, *OPTIONS]
    out = shell(r21d, 'predict', 'data/kinetics400/videos_val/video 0.mp4', *network, cwd=kinetics)
    assert 'video 0.mp4' in out
    mim = [quick_bin / 'mim', 'run', 'r21d_plugin']
    videos = 'data/kinetics400/videos_val'
    shell(r21d, 'features', videos, '--out', tmp_path / 'features', *network, cwd=kinetics)
    assert len(list((tmp_path / 'features').glob('*.npy'))) == 6
    shell(r21d, 'export', config, checkpoint, tmp_path / 'a.pt2', *OPTIONS, cwd=kinetics)
    assert (tmp_path / 'a.pt2').exists()
    for name, command in (('a', [r21d, 'flow']), ('b', [*mim, 'extract_flow'])):
        shell(*command, videos, tmp_path / name, cwd=kinetics)
        assert len(list((tmp_path / name).glob('*.zip'))) == 6
    for command in ([r21d], [quick_bin / 'python', '-m', 'r21d_plugin']):
        assert 'prepare' in shell(*command, cwd=kinetics)
    assert '--annotations' in shell(r21d, 'prepare', 'ucf101', '--help', cwd=kinetics)
    assert '--ungrouped' in shell(r21d, 'prepare', 'folder', '--help', cwd=kinetics)

"""Install, train, resume and test in environments from the oldest to the newest.

    python tests/matrix/run.py [NAME ...] [--folder DIR] [--out FILE.md]

Builds each environment with uv, one after another: some 4 GB each, as most builds of PyTorch bring
CUDA. Prints a table of what worked, in Markdown; the exit status is 1 unless everything did. Needs
uv and the Pythons, those of pyenv too; an environment whose Python uv does not find is skipped.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Environment(NamedTuple):
    """Versions of an environment; without mmengine it has PyTorch and NumPy alone."""

    python: str
    torch: str
    numpy: str
    mmengine: str = '0.10.7'
    mmcv: str = 'mmcv-lite 2.1.0'
    mmaction2: str = '1.2.0'


ENVIRONMENTS = {
    'oldest': Environment('3.8', '1.13.1', '1.24.4', '0.9.0'),
    'py39': Environment('3.9', '2.7.1', '1.26.4'),
    'mmcv': Environment('3.10', '2.1.2', '1.26.4', mmcv='mmcv 2.1.0'),  # compiles for an hour
    'py311': Environment('3.11', '2.4.1', '2.0.2'),
    'py312': Environment('3.12', '2.9.1', '1.26.4'),
    'newest': Environment('3.13', '2.15.0', '2.5.5'),
    'torch': Environment('3.11', '2.13.0', '2.4.6', '', '', ''),
}
STEPS = ('installs', 'imports', 'core tests', 'trains', 'resumes', 'tests')
CORE_TESTS = ('tests/models', 'tests/weights')
TORCH_TESTS = (
    '--noconftest',
    'tests/test_torch_alone.py',
    'tests/models/test_factory.py',
    'tests/weights/test_loading.py',
)

VIDEOS = """
from pathlib import Path
from support import write_video
for split in ('train', 'val'):
    folder = Path('data/kinetics400', f'videos_{split}')
    folder.mkdir(parents=True)
    for i in range(6):
        write_video(folder / f'{i}.mp4', frames=12 + 5 * i, seed=i)
    lines = ''.join(f'{i}.mp4 {i}\\n' for i in range(6))
    Path('data/kinetics400', f'kinetics400_{split}_list_videos.txt').write_text(lines)
"""
OPTIONS = "from support import OPTIONS; print(*OPTIONS, sep='\\n')"


class StepError(Exception):
    """A step failed."""


class Run:
    """The steps in one environment. Each command's output goes to a file of its name.

    Args:
        name: Name of the environment.
        folder: Where it is built.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.versions, self.folder = ENVIRONMENTS[name], folder / name
        self.bin = self.folder / 'venv' / ('Scripts' if os.name == 'nt' else 'bin')

    def results(self) -> list[str]:
        """Results of the steps; if the installation fails, those of later steps are missing."""
        steps = [self.install, self.imports, self.core_tests]
        if self.versions.mmengine:
            steps += [self.train, self.resume, self.test]
        results: list[str] = []
        for step in steps:
            begin = time.monotonic()
            try:
                results.append(step() or 'yes')
            except (StepError, OSError) as error:
                results.append(f'**no** {error}')
            print(f'  {step.__name__}: {results[-1]}, {time.monotonic() - begin:.0f} s', flush=True)
            if results[0] != 'yes':
                break
        return results + ['-'] * (len(STEPS) - len(results))

    def call(self, name: str, *command: object, check: bool = True) -> str:
        """Run a command and return what it prints."""
        path = f'{self.bin}{os.pathsep}{os.environ["PATH"]}'
        env = dict(os.environ, PATH=path, OMP_NUM_THREADS='1', MMCV_WITH_OPS='1')
        env['PYTHONPATH'] = str(ROOT / 'tests') if name in ('videos', 'options') else ''
        log = self.folder / f'{name}.log'
        program = shutil.which(str(command[0]), path=path) or str(command[0])
        with log.open('w') as file:
            result = subprocess.run(
                [program, *map(str, command[1:])],
                cwd=ROOT if name == 'core_tests' else self.folder,
                env=env,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        if check and result.returncode:
            raise StepError(f'({log})')
        return log.read_text(errors='replace')

    def install(self) -> None:
        """Build the environment, with the wheel of this checkout."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.call('build', 'uv', 'build', '--out-dir', self.folder, ROOT)
        (wheel,) = self.folder.glob('*.whl')
        self.call('venv', 'uv', 'venv', '--python', self.versions.python, 'venv')
        pip = ('uv', 'pip', 'install', '--python', self.bin / 'python')
        versions = self.versions
        pins = [f'torch=={versions.torch}', f'numpy=={versions.numpy}', 'pytest', 'pytest-xdist']
        if not versions.mmengine:
            self.call('install', *pip, *pins)
            self.call('install_wheel', *pip, '--no-deps', wheel)
            return
        pins += [f'mmengine=={versions.mmengine}', f'mmaction2=={versions.mmaction2}']
        pins += ['pip', 'wheel', 'hypothesis', 'lmdb', 'imageio-ffmpeg']
        mmcv = versions.mmcv.replace(' ', '==')
        # mmcv compiles against the torch that is there.
        compiled = [] if mmcv.startswith('mmcv-lite') else ['--no-build-isolation', '--no-deps']
        self.call('install', *pip, *pins, wheel)
        self.call('install_mmcv', *pip, *compiled, mmcv)

    def imports(self) -> None:
        """Import the installed packages."""
        module = 'r21d_plugin.registry' if self.versions.mmengine else 'r21d_plugin'
        self.call('imports', 'python', '-c', f'import {module}')

    def core_tests(self) -> str:
        """Run the tests of networks and weights; return how many passed and failed."""
        selection = CORE_TESTS if self.versions.mmengine else TORCH_TESTS
        pytest = ('python', '-m', 'pytest', '-q', '-m', '', '--continue-on-collection-errors')
        pytest += ('-n', '2', '--dist', 'loadfile')
        output = self.call('core_tests', *pytest, *selection, check=False)
        for line in re.findall(r'^(?:FAILED|ERROR) [^\n]*', output, re.MULTILINE):
            print(f'    {line}', flush=True)
        summary = re.findall(
            r'^[^\n]*(?:passed|failed|error)[^\n]* in [\d.]+s', output, re.MULTILINE
        )
        counts = re.findall(r'\d+ (?:passed|failed|skipped|errors?)', ''.join(summary[-1:]))
        return ', '.join(counts or ['**no**'])

    def mim(self, name: str, *arguments: str) -> str:
        """Run mim with a tiny network."""
        options = self.call('options', 'python', '-c', OPTIONS).split()
        command = ('mim', name.partition('_')[0], 'r21d_plugin', 'r2plus1d_18_kinetics.py')
        return self.call(name, *command, '--work-dir', 'run', *arguments, *options)

    def train(self) -> None:
        """Train for two epochs."""
        self.call('videos', 'python', '-c', VIDEOS)
        self.mim('train', '--gpus', '0')

    def resume(self) -> None:
        """Train the third epoch."""
        (self.folder / 'run/epoch_2.pth').rename(self.folder / 'run/away.pth')
        (self.folder / 'run/last_checkpoint').write_text(str(self.folder / 'run/epoch_1.pth'))
        if 'resumed epoch: 1' not in self.mim('train_resume', '--gpus', '0', '--resume'):
            raise StepError('did not resume')

    def test(self) -> None:
        """Test the checkpoint."""
        checkpoint = ('--checkpoint', 'run/epoch_2.pth', '--device', 'cpu')
        if 'video@1' not in self.mim('test', *checkpoint):
            raise StepError('no accuracy')


def table(results: dict[str, list[str]]) -> str:
    """The results as a table in Markdown."""
    head = ['', 'Python', 'torch', 'NumPy', 'mmengine', 'mmcv', 'mmaction2', *STEPS]
    rows = [[n, *(v or '-' for v in ENVIRONMENTS[n]), *found] for n, found in results.items()]
    lines = [' | '.join(row) for row in (head, ['---'] * len(head), *rows)]
    return ''.join(f'| {line} |\n' for line in lines)


def main() -> None:
    """Build the environments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('names', nargs='*', metavar='NAME', help=', '.join(ENVIRONMENTS))
    parser.add_argument('--folder', type=Path, help='where to build them (a temporary folder)')
    parser.add_argument('--out', type=Path, help='also write the table there')
    args = parser.parse_args()
    if unknown := set(args.names) - ENVIRONMENTS.keys():
        parser.error(f'{min(unknown)}: choose from {", ".join(ENVIRONMENTS)}')
    os.environ.setdefault('UV_FIND_LINKS', os.environ.get('PIP_FIND_LINKS', ''))
    if shutil.which('pyenv'):  # whose programs find only the versions that are named
        versions = subprocess.check_output(['pyenv', 'versions', '--bare'], text=True).split()
        os.environ['PYENV_VERSION'] = ':'.join(versions)
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).absolute()
        for name in args.names or ENVIRONMENTS:
            print(name, *ENVIRONMENTS[name], flush=True)
            python = ENVIRONMENTS[name].python
            if subprocess.run(
                ['uv', 'python', 'find', python], stdout=subprocess.DEVNULL
            ).returncode:
                print(f'  skipped: there is no Python {python}')
                continue
            results[name] = Run(name, folder).results()
            if args.folder is None:
                shutil.rmtree(folder / name)
    print(table(results), end='')
    if args.out:
        args.out.write_text(table(results))
    bad = [name for name, found in results.items() if re.search(r'\*\*no|failed|error', str(found))]
    sys.exit(f'failed: {", ".join(bad)}' if bad else 0)


if __name__ == '__main__':
    main()

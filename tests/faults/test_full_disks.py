"""Full disks and limits on file sizes.

A command ends with one line, leaves no partial file, and continues once there is room.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support import OPTIONS, ROOT, write_video
from untrained import CONFIGS, untrained

from r21d_plugin import InputError
from r21d_plugin.inference.draw import write_video as write_video_file
from r21d_plugin.inference.feature_files import FeatureFolder, open_features

TRAIN = [ROOT / 'tools/train.py', ROOT / 'configs/r2plus1d_18_kinetics.py', '--device', 'cpu']
KIB = 1024


class FullDisk:
    """A file system in memory; mounting it requires root."""

    reason = 'No space left on device'
    room_for_features = 24 * KIB  # a file takes 4 KiB at least

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', folder]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip('mounting a file system needs the rights of root')

    def run(self, command, room=None, **options):
        """Run a command with the given number of bytes free on the disk (None: all)."""
        ballast = self.folder / 'ballast'
        if room is not None:
            free = shutil.disk_usage(self.folder).free
            ballast.write_bytes(bytes(free - room))
        result = run(command, **options)
        ballast.unlink(missing_ok=True)
        return result

    def close(self):
        subprocess.run(['umount', self.folder], check=True)


class FileLimit:
    """A limit on the size of files. It needs no rights, and writes fail in the same places."""

    reason = 'File too large'
    room_for_features = 4 * KIB

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, command, room=None, **options):
        """Run a command whose files may have at most the given number of bytes."""
        limit = room or resource.RLIM_INFINITY
        return run(
            command,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            **options,
        )

    def close(self):
        """Nothing to do."""


@pytest.fixture(params=[FullDisk, FileLimit])
def disk(request, tmp_path):
    folder = tmp_path / 'disk'
    folder.mkdir()
    disk = request.param(folder)
    yield disk
    disk.close()


def run(command, **options):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, command)],
        env=dict(os.environ, OMP_NUM_THREADS='1'),
        stdout=options.pop('stdout', subprocess.PIPE),
        stderr=subprocess.PIPE,
        text=True,
        timeout=600,
        **options,
    )


@contextmanager
def files_limited(size: int) -> Iterator[None]:
    """Limit the size of files that this process writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def last_line(result) -> str:
    """Return the error line of a command that failed as expected."""
    assert result.returncode == 1, result.stderr[-3000:]
    assert 'Traceback' not in result.stderr
    assert 'Exception ignored' not in result.stderr
    return result.stderr.splitlines()[-1]


def contents(folder: Path) -> dict[str, bytes]:
    """Read the files of a folder by relative path, without configs, which every start rewrites."""
    files = (path for path in folder.rglob('*.*') if path.is_file() and path.suffix != '.py')
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope='module')
def trained(kinetics, tmp_path_factory) -> Path:
    """Train for one epoch; return the work dir."""
    work_dir = tmp_path_factory.mktemp('trained')
    options = ['--work-dir', work_dir, *OPTIONS, 'train_cfg.max_epochs=1']
    result = run([*TRAIN, *options], cwd=kinetics)
    assert result.returncode == 0, result.stderr[-3000:]
    return work_dir


@pytest.fixture
def resume(disk, trained) -> list:
    """Return the command that trains for one more epoch on the disk."""
    work_dir = shutil.copytree(trained, disk.folder / 'work_dir')
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_1.pth'))
    return [*TRAIN, '--work-dir', work_dir, '--resume', *OPTIONS]


def test_training_without_room_for_a_checkpoint(disk, resume, kinetics, fault):
    with fault('full disk in a checkpoint'):
        work_dir = disk.folder / 'work_dir'
        before = contents(work_dir)
        result = disk.run(resume, room=400 * KIB, cwd=kinetics)
        assert last_line(result) == (
            f'error: {work_dir}/epoch_2.pth: cannot write there: {disk.reason}: make room there'
        )
        after = contents(work_dir)
        assert {name: after[name] for name in before} == before
        assert 'epoch_2.pth' not in after
        assert not any('partial' in name for name in after)

        result = disk.run(resume, cwd=kinetics)
        assert result.returncode == 0, result.stderr[-3000:]
        assert {'epoch_1.pth', 'epoch_2.pth'} <= set(contents(work_dir))


def test_standard_output(fault):
    with fault('full disk under standard output'), open('/dev/full', 'w') as full:
        line = last_line(run([ROOT / 'tools/complexity.py', 'r2d_18'], stdout=full))
        assert 'standard output' in line
        assert line.endswith(': cannot write there: No space left on device: make room there')


@pytest.fixture
def videos(tmp_path) -> Path:
    """Make three videos, of which the last one is long."""
    folder = tmp_path / 'videos'
    folder.mkdir()
    for name, frames in (('a', 8), ('b', 8), ('c', 60)):
        write_video(folder / f'{name}.mp4', frames)
    return folder


def test_flow_extraction(disk, videos, fault):
    with fault('full disk in flow extraction'):
        out = disk.folder / 'flow'
        command = [ROOT / 'tools/data/extract_flow.py', videos, out, '--workers', 1]
        result = disk.run(command, room=1000 * KIB)
        assert last_line(result) == (
            f'error: {out}/c.mp4.flow.zip: cannot write there: {disk.reason}: make room there'
        )
        before = contents(out)
        assert sorted(before) == ['a.mp4.flow.zip', 'b.mp4.flow.zip']
        assert '1 computed, 2 there already' in disk.run(command).stdout
        after = contents(out)
        assert {name: after[name] for name in before} == before


@pytest.fixture(scope='module')
def network(tmp_path_factory) -> list:
    """Return arguments for a network, with clips that advance by one frame."""
    checkpoint = untrained(tmp_path_factory.mktemp('network'))
    arguments = ['--config', CONFIGS['rgb'], '--checkpoint', checkpoint, '--stride', 1]
    return [*arguments, '--device', 'cpu', '--workers', 0]


def test_feature_extraction(disk, videos, network, fault):
    with fault('full disk in feature extraction'):
        out = disk.folder / 'features'
        command = [ROOT / 'tools/extract_features.py', videos, '--out', out, *network]
        line = last_line(disk.run(command, room=disk.room_for_features))
        assert line.startswith(f'error: {out}/c.mp4.npy: cannot write there: ')
        assert line.endswith(
            (f'{disk.reason}: make room there', 'written bytes: is the disk full?')
        )
        before = contents(out)
        assert {'a.mp4.npy', 'a.mp4.json', 'b.mp4.npy', 'b.mp4.json'} < set(before)
        assert not any('partial' in name or name.startswith('c') for name in before)
        assert '1 computed, 2 there already' in disk.run(command).stdout
        after = contents(out)
        assert {name: after[name] for name in before} == before


@pytest.mark.parametrize('missing', [1, 64, 1000, 4000])
def test_the_end_of_an_array(missing, tmp_path, fault):
    """NumPy buffers the end of an array when it writes to a file itself, and loses the error."""
    with fault('full disk in feature extraction'):
        settings = dict(clip_len=8, stride=1, fingerprint='')
        store = FeatureFolder(tmp_path, settings)
        values = np.ones((2, 512), np.float32)
        size = values.nbytes + 128
        facts = dict(video='a.mp4', video_bytes=100)
        too_large = pytest.raises(InputError, match=r'a\.npy: cannot write there: File too large')
        with files_limited(size - missing), too_large:
            store.write('a', values, facts)
        assert list(contents(tmp_path)) == ['settings.json']
        store.write('a', values, facts)
        assert (tmp_path / 'a.npy').stat().st_size == size


def test_a_drawn_video(tmp_path, fault):
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), np.uint8)
    for size in (0, 300, 20_000):
        with fault('full disk in a drawn video'), files_limited(size):
            with pytest.raises(InputError, match=r'a\.mp4: cannot write there: File too large'):
                write_video_file(tmp_path / 'a.mp4', iter(noise), 25, parents=False)
            assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_an_hdf5_file(tmp_path, fault):
    pytest.importorskip('h5py')
    store = open_features(tmp_path / 'a.h5', dict(clip_len=8, stride=1, fingerprint=''))
    store.write('a', np.ones((200, 512), np.float32), dict(video='a.mp4', video_bytes=100))
    with fault('full disk in feature extraction'), files_limited(100 * KIB):
        with pytest.raises(InputError, match=r'a\.h5: cannot write there'):
            store.finish(all_done=True)
        assert not (tmp_path / 'a.h5').exists()
    store.finish(all_done=True)
    assert (tmp_path / 'a.h5').exists()


def test_lists_of_videos(disk, tmp_path, fault):
    """The list of training videos fits, the other files do not."""
    with fault('full disk in lists of videos'):
        (tmp_path / 'videos').mkdir()
        write_video(tmp_path / 'videos/a_000000_000010.mp4', 4)
        out = disk.folder / 'lists'
        head = 'label,youtube_id,time_start,time_end,split\n'
        names = [f'class {i:03} ' + 'a' * 100 for i in range(400)]
        lists = [tmp_path / 'train.csv', tmp_path / 'validate.csv']
        for path in lists:
            rows = (f'{name},{path.stem[0]}{i},0,10,{path.stem}' for i, name in enumerate(names))
            path.write_text(head + '\n'.join([*rows, f'{names[0]},a,0,10,{path.stem}\n']))
        command = [ROOT / 'tools/data/prepare.py', 'kinetics400', '--videos', tmp_path / 'videos']
        command += ['--out', out, '--workers', 1, '--annotations', *lists]
        assert disk.run(command).returncode == 0
        before = contents(out)
        lists[0].write_text(lists[0].read_text() + f'{names[0]},z,0,10,train\n')
        line = last_line(disk.run(command, room=32 * KIB))
        assert re.search(r'/lists/\w+\.txt: cannot write there: ', line)
        assert line.endswith(f'{disk.reason}: make room there')
        assert contents(out) == before
        assert disk.run(command).returncode == 0
        assert contents(out) != before

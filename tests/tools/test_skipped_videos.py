"""Training and tests on datasets in which some videos do not decode."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
from support import OPTIONS, ROOT, shell, stored_scores, write_video

pytestmark = pytest.mark.slow

CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'
CPU = ['--device', 'cpu']
SKIP = [
    f'{split}_dataloader.dataset.{option}'
    for split in ('train', 'val', 'test')
    for option in ('on_error=skip', 'max_bad_fraction=0.7')
]
SKIPPED = """\
data/kinetics400/videos_val/cut.mp4: does not decode: replace the file or drop it from the \
annotation file
data/kinetics400/videos_val/gone.mp4: no such video: correct the annotation file or data_prefix
data/kinetics400/videos_val/text.mp4: does not decode: replace the file or drop it from the \
annotation file
"""


def write_dataset(root: Path, names: list[str]) -> None:
    """Write good videos, and damaged ones under the other names."""
    data = root / 'data/kinetics400'
    for split in ('train', 'val'):
        folder = data / f'videos_{split}'
        folder.mkdir(parents=True)
        for i, name in enumerate(names):
            if name.startswith('good'):
                write_video(folder / name, frames=12 + i, seed=i)
        whole = write_video(root / 'whole.mp4', frames=12).read_bytes()
        (folder / 'cut.mp4').write_bytes(whole[: len(whole) // 2])
        (folder / 'text.mp4').write_text('not a video')
        lines = [f'{name} {i}\n' for i, name in enumerate(names)]
        (data / f'kinetics400_{split}_list_videos.txt').write_text(''.join(lines))


@pytest.fixture(scope='module')
def half_broken(tmp_path_factory) -> Path:
    """Make three good and three broken videos; two broken ones are a whole batch of a test."""
    root = tmp_path_factory.mktemp('half_broken')
    names = ['good_0.mp4', 'good_1.mp4', 'gone.mp4', 'cut.mp4', 'text.mp4', 'good_5.mp4']
    write_dataset(root, names)
    return root


@pytest.fixture(scope='module')
def trained(half_broken, python) -> Path:
    """Train on the videos that decode; return the checkpoint."""
    work_dir = half_broken / 'trained'
    train = [ROOT / 'tools/train.py', CONFIG, *CPU, '--work-dir', work_dir, *OPTIONS, *SKIP]
    shell(python, *train, 'train_dataloader.num_workers=2', cwd=half_broken)
    return work_dir


@pytest.fixture
def here(half_broken, monkeypatch) -> Path:
    monkeypatch.chdir(half_broken)
    return half_broken


def losses(work_dir: Path) -> list[float]:
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line['loss'] for line in lines if 'loss' in line]


def test_training_skips_videos_that_do_not_decode(here, trained, tool, tmp_path):
    assert len(losses(trained)) == 4, 'two epochs of two whole batches'
    assert (trained / 'skipped_val_videos.txt').read_text() == SKIPPED
    train_list = (trained / 'skipped_train_videos.txt').read_text()
    assert train_list == SKIPPED.replace('_val', '_train')
    (log,) = trained.glob('*/*.log')
    assert f'val: skipped 3 of 6 videos read: see {trained}' in log.read_text()


def test_the_first_batch_may_have_a_damaged_video(here, tool, tmp_path):
    """The training time is estimated from it."""
    (tmp_path / 'list.txt').write_text('text.mp4 0\n' * 2 + 'good_0.mp4 1\n' * 2)
    data = [f'train_dataloader.dataset.ann_file={tmp_path}/list.txt']
    data += ['train_dataloader.sampler.epoch_size=4', 'train_dataloader.batch_size=4']
    data += ['default_hooks.training_time.type=r21d_plugin.TrainingTimeHook']
    arguments = [CONFIG, *CPU, '--work-dir', tmp_path, '--no-validate']
    tool('train.py', *arguments, *OPTIONS, *SKIP, *data)
    assert [*tmp_path.glob('epoch_*.pth')]


def test_replacements_of_videos_depend_on_the_seed(here, trained, tool, tmp_path):
    options = [*OPTIONS, *SKIP, 'train_dataloader.num_workers=2']
    tool('train.py', CONFIG, *CPU, '--work-dir', tmp_path, '--no-validate', *options)
    assert losses(tmp_path) == losses(trained)


def test_skipped_videos_are_excluded_from_metrics_and_dumps(here, trained, tool, tmp_path):
    test = ['test.py', CONFIG, trained / 'epoch_2.pth', *CPU]
    dump = tmp_path / 'scores.pkl'
    tool(*test, '--work-dir', tmp_path / 'skip', '--dump', dump, *OPTIONS, *SKIP)
    names = [Path(sample['filename']).name for sample in pickle.loads(dump.read_bytes())]
    assert names == ['good_0.mp4', 'good_1.mp4', 'good_5.mp4']
    assert (tmp_path / 'skip/skipped_test_videos.txt').read_text() == SKIPPED

    (tmp_path / 'good.txt').write_text(''.join(f'{name} {name[5]}\n' for name in names))
    good = f'test_dataloader.dataset.ann_file={tmp_path}/good.txt'
    tool(*test, '--work-dir', tmp_path / 'good', *OPTIONS, good)
    assert stored_scores(tmp_path / 'skip') == stored_scores(tmp_path / 'good')


def test_processes_that_test_together_skip_videos_too(here, trained, python, tmp_path):
    """Three of six, among them a whole batch of one process; none is counted twice."""
    torchrun = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2']
    test = [ROOT / 'tools/test.py', CONFIG, trained / 'epoch_2.pth', '--launcher', 'pytorch', *CPU]
    dump = tmp_path / 'scores.pkl'
    options = ['--work-dir', tmp_path, '--dump', dump, *OPTIONS, *SKIP]
    output = shell(python, *torchrun, *test, *options, cwd=here)
    assert 'test: skipped 3 of 6 videos read' in output
    names = [Path(sample['filename']).name for sample in pickle.loads(dump.read_bytes())]
    assert sorted(names) == ['good_0.mp4', 'good_1.mp4', 'good_5.mp4']
    assert (tmp_path / 'skipped_test_videos.txt').read_text() == SKIPPED


@pytest.mark.parametrize('script', ['train.py', 'test.py'])
def test_a_run_that_skips_nothing_ends_with_a_name(here, trained, fails, tmp_path, script):
    """A test does so by default."""
    arguments = [*CPU, '--work-dir', tmp_path, *OPTIONS]
    if script == 'test.py':
        message = fails(script, CONFIG, trained / 'epoch_2.pth', *arguments)
    else:
        message = fails(script, CONFIG, *arguments, 'train_dataloader.dataset.on_error=raise')
    assert any(name in message for name in ('gone.mp4: no such', 'cut.mp4: does', 'text.mp4: does'))


@pytest.mark.parametrize(
    ('script', 'split', 'message'),
    [
        ('train.py', 'train', r'\d of \d+ videos read'),
        ('test.py', 'test', '3 of 6 videos read'),
    ],
)
def test_too_many_broken_videos_end_a_run(here, trained, fails, tmp_path, script, split, message):
    checkpoint = [trained / 'epoch_2.pth'] if script == 'test.py' else []
    options = [*OPTIONS, *SKIP, f'{split}_dataloader.dataset.max_bad_fraction=0.05']
    line = fails(script, CONFIG, *checkpoint, *CPU, '--work-dir', tmp_path, *options)
    path = tmp_path / f'skipped_{split}_videos.txt'
    assert re.search(f'{path}: {message} do not decode, more than max_bad_fraction=0.05', line)
    assert 0 < len(path.read_text().splitlines()) <= 3


def test_a_dataset_without_decodable_videos(here, trained, fails, tmp_path):
    (tmp_path / 'bad.txt').write_text('cut.mp4 0\ntext.mp4 1\n')
    bad = [f'{split}_dataloader.dataset.ann_file={tmp_path}/bad.txt' for split in ('train', 'test')]
    work_dir = ['--work-dir', tmp_path]
    options = [*OPTIONS, *SKIP, *bad, 'train_dataloader.dataset.max_refetch=5']
    line = fails('train.py', CONFIG, *CPU, *work_dir, *options)
    assert 'bad.txt: 6 videos in a row do not decode: ' in line
    allowed = 'test_dataloader.dataset.max_bad_fraction=1'
    line = fails('test.py', CONFIG, trained / 'epoch_2.pth', *CPU, *work_dir, *options, allowed)
    assert 'no video was tested' in line

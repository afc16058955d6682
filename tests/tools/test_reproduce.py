"""Public weights tested on validation videos; a local server has both."""

from __future__ import annotations

import csv
import hashlib
import json

import pytest
import torch
from servers import folder_server
from support import write_video
from weights.published import save, seed_norms

from r21d_plugin import InputError, PublicWeights, create_model
from r21d_plugin.datasets.kinetics_subset import listed
from r21d_plugin.weights.public import kinetics_400

NAME = 'r2plus1d_18_torchvision_kinetics_16f'
CLASSES = kinetics_400()
RIGHT = 3  # the class that the network always predicts
TINY = ['model.backbone.base_channels=4', 'model.cls_head.in_channels=32']
TINY += ['test_dataloader.num_workers=1', 'test_dataloader.persistent_workers=False']
OPTIONS = ['--device', 'cpu', '--cfg-options', *TINY]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Set the published accuracy of a tiny network, which a web server has."""
    folder = tmp_path / 'web'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    torch.manual_seed(0)
    network = seed_norms(create_model('r2plus1d_18', base_channels=4, midplanes='block'))
    network.fc.bias.data[RIGHT] = 100
    save(network, folder / 'net.pth')
    real = PublicWeights[NAME.upper()]

    def set_accuracy(**metrics: float) -> None:
        metrics = {f'video@{key[-1]}': value for key, value in metrics.items()}
        fake = real.value._replace(url=f'{address}/net.pth', sha256=None, metrics=metrics)
        monkeypatch.setattr(real, '_value_', fake)

    with folder_server(folder) as (address, _):
        set_accuracy(video1=67.5, video5=76.2)
        yield set_accuracy


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Make six videos in folders of their classes; half are of the predicted class."""
    root = tmp_path_factory.mktemp('val')
    for i in range(6):
        name = CLASSES[RIGHT if i % 2 else 20 + i].replace(' ', '_')
        (root / name).mkdir(exist_ok=True)
        write_video(root / name / f'video-{i:05}_000010_000020.mp4', 20, seed=i)
    return root


def write_annotations(path):
    """Write the official file: the six videos, and a missing one of every other class."""
    of = {RIGHT if i % 2 else 20 + i: f'video-{i:05}' for i in range(0, 6, 2)}
    rows = [(name, of.get(i, f'none-{i:06}')) for i, name in enumerate(CLASSES)]
    rows += [(CLASSES[RIGHT], f'video-{i:05}') for i in (1, 3, 5)]
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['label', 'youtube_id', 'time_start', 'time_end', 'split'])
        writer.writerows([label, name, 10, 20, 'validate'] for label, name in rows)
    return path


def test_inside(published, videos, tool, tmp_path, capsys):
    work = ['--work-dir', tmp_path / 'work']
    tool('reproduce.py', 'torchvision_r2plus1d_18', '--videos', videos, *work, *OPTIONS)
    out = capsys.readouterr().out
    assert f'{NAME}: 6 videos of 5 clips; published with 5 clips of a video' in out
    assert 'The published accuracies are inside the intervals.' in out
    log = json.loads((tmp_path / f'work/{NAME}.json').read_text())
    assert log['here']['clip@1']['value'] == log['here']['video@1']['value'] == 0.5
    interval = log['here']['video@1']
    assert (interval['low'], interval['high']) == pytest.approx((0.1876, 0.8124), abs=1e-4)
    assert log['list']['videos'] == log['tested']['videos'] == 6
    assert (log['published']['video@1'], log['published']['video@5']) == (67.5, 76.2)
    assert log['sha256'] == hashlib.sha256((tmp_path / 'web/net.pth').read_bytes()).hexdigest()
    assert log['versions']['torch'] == torch.__version__
    assert log['options']['model.backbone.base_channels'] == '4'
    assert log['seconds'] > 0


def test_outside(published, videos, tool, tmp_path, capsys):
    published(video1=95.0, video5=99.0)
    work = ['--work-dir', tmp_path / 'work', '--subset', 5]
    tool('reproduce.py', NAME, '--videos', videos, *work, *OPTIONS)
    assert 'Published, but outside the interval: video@1' in capsys.readouterr().out


def test_the_same_list_by_annotations(published, videos, tool, tmp_path, capsys):
    """The list is the same for any source of classes and any place of the videos."""
    flat = tmp_path / 'flat'
    flat.mkdir()
    for path in videos.rglob('*.mp4'):
        (flat / path.name.replace('_000010_000020', '')).symlink_to(path)
    annotations = write_annotations(tmp_path / 'validate.csv')
    lists = [('folders', videos, []), ('csv', flat, ['--annotations', annotations])]
    logs = []
    for name, folder, arguments in lists:
        work = tmp_path / name
        arguments = [*arguments, '--subset', 4, '--work-dir', work]
        tool('reproduce.py', NAME, '--videos', folder, *arguments, *OPTIONS)
        logs.append(json.loads((work / f'{NAME}.json').read_text()))
    assert logs[0]['list']['sha256'] == logs[1]['list']['sha256']
    assert logs[0]['here'] == logs[1]['here']
    assert [log['list']['missing'] for log in logs] == [0, 397]


def test_videos_that_do_not_decode(published, videos, tool, tmp_path, capsys):
    folder = tmp_path / 'val'
    for path in videos.rglob('*.mp4'):
        target = folder / path.relative_to(videos)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
    (folder / 'abseiling').mkdir(exist_ok=True)
    (folder / 'abseiling/broken.mp4').write_bytes(b'no video')
    allowed = ['test_dataloader.dataset.max_bad_fraction=0.5']
    work = ['--work-dir', tmp_path / 'work']
    tool('reproduce.py', NAME, '--videos', folder, *work, *OPTIONS, *allowed)
    log = json.loads((tmp_path / f'work/{NAME}.json').read_text())
    assert (log['list']['videos'], log['tested']['videos']) == (7, 6)
    assert 'broken.mp4' in (tmp_path / 'work/skipped_test_videos.txt').read_text()


def test_mistakes(published, videos, fails, tmp_path):
    def line(name, folder=videos, *arguments):
        work = ['--work-dir', tmp_path / 'work']
        return fails('reproduce.py', name, '--videos', folder, *arguments, *work, *OPTIONS)

    found = line('vmz_r2plus1d_18')
    assert 'several public weights' in found
    assert 'r2plus1d_18_vmz_kinetics_16f' in found
    assert 'nope: no public weights with an accuracy: choose from ' in line('nope')
    assert 'no public weights with an accuracy' in line('r2plus1d_34_ig65m_32f')
    assert '6 of the annotated videos are there, and 7' in line(NAME, videos, '--subset', 7)
    assert '--subset=1: use a whole number, at least 2' in line(NAME, videos, '--subset', 1)
    (tmp_path / 'none').mkdir()
    assert 'no videos in it' in line(NAME, tmp_path / 'none')
    (tmp_path / 'of/juggling_knives').mkdir(parents=True)
    (tmp_path / 'of/juggling_knives/a.mp4').touch()
    found = line(NAME, tmp_path / 'of')
    assert "'juggling_knives' is not a class of Kinetics-400: give --annotations" in found
    (tmp_path / 'list.txt').write_text('a.mp4 400\n')
    found = line(NAME, videos, '--annotations', tmp_path / 'list.txt')
    assert "list.txt, line 1: 'a.mp4 400' is not a path and a label" in found
    assert not (tmp_path / 'work').exists()


def test_a_list_of_another_dataset(tmp_path):
    (tmp_path / 'list.txt').write_text('a b.mp4 399\nc.mp4 400\n')
    lines = listed(tmp_path / 'list.txt')
    assert next(lines) == ('a b.mp4', 399)
    with pytest.raises(InputError, match=r"line 2: 'c\.mp4 400' is not a path and a label of Kin"):
        next(lines)

"""Pictures of a test (``--show-dir``)."""

import re

import cv2
import pytest
from mmaction.visualization import ActionVisualizer
from support import write_video
from untrained import CONFIGS, untrained

from r21d_plugin.engine import PredictionPicturesHook


@pytest.fixture
def arguments(tmp_path):
    """Return arguments of test.py that draw every other of three videos; two have one name."""
    names = ['a b.mp4', 'c.mp4', 'sub/a b.mp4']
    (tmp_path / 'videos/sub').mkdir(parents=True)
    for name in names:
        write_video(tmp_path / 'videos' / name, frames=9)
    (tmp_path / 'sports_list.txt').write_text(''.join(f'{name} 7\n' for name in names))

    def of(stream):
        command = ['test.py', CONFIGS[stream], untrained(tmp_path, stream), '--device', 'cpu']
        command += ['--work-dir', tmp_path, '--show-dir', tmp_path / 'show', '--interval', 2]
        command += [
            '--cfg-options',
            'test_dataloader.dataset.pipeline.1.num_clips=2',
            'test_dataloader.num_workers=0',
        ]
        command += ['test_dataloader.persistent_workers=False', 'test_dataloader.batch_size=2']
        dataset = 'test_dataloader.dataset'
        command.append(f'{dataset}.ann_file={tmp_path}/sports_list.txt')
        return [*command, f'{dataset}.data_prefix.video={tmp_path}/videos']

    return of


@pytest.fixture
def texts(monkeypatch):
    """Record the texts that are drawn on frames."""
    texts, draw_texts = [], ActionVisualizer.draw_texts

    def draw(self, text, *args, **kwargs):
        texts.append(text)
        return draw_texts(self, text, *args, **kwargs)

    monkeypatch.setattr(ActionVisualizer, 'draw_texts', draw)
    return texts


@pytest.mark.parametrize('stream', ['rgb', 'twostream'])
def test_input_frames_and_prediction_are_drawn(stream, arguments, tool, tmp_path, texts):
    tool(*arguments(stream))
    folders = [path.parent for path in sorted((tmp_path / 'show').rglob('0.png'))]
    show = tmp_path / 'show'
    assert folders == [show / 'a b.mp4/frames_0', show / 'sub/a b.mp4/frames_0']
    pictures = [path for folder in folders for path in folder.iterdir()]
    assert sorted(int(path.stem) for path in pictures) == sorted([*range(2 * 8)] * 2)
    assert all(cv2.imread(str(path)).shape == (448, 448, 3) for path in pictures)
    frame, truth, prediction = texts[15].splitlines()
    assert frame == 'Frame 15 of total 16 frames'
    assert truth.split() == ['Ground', 'truth:', '7']
    assert prediction.startswith('Prediction: ')


NAMES = [f'sport_{i}' for i in range(10)]


@pytest.mark.parametrize('source', ['label map', 'metainfo'])
def test_classes_are_named(source, arguments, tool, tmp_path, texts):
    command = arguments('rgb')
    if source == 'label map':
        (tmp_path / 'label_map_sports.txt').write_text('\n'.join(NAMES))
    else:
        command.append(f'test_dataloader.dataset.metainfo.classes={NAMES}')
    tool(*command)
    _, truth, prediction = texts[0].splitlines()
    assert truth == 'Ground truth: 7 (sport_7)'
    assert re.fullmatch(r'Prediction: (\d), \d\.\d\d \(sport_\1\)', prediction)


def test_without_a_label(arguments, tool, tmp_path, texts):
    command = arguments('rgb')
    (tmp_path / 'sports_list.txt').write_text('c.mp4\n')
    (tmp_path / 'label_map_sports.txt').write_text('\n'.join(NAMES))
    tool(*command)
    assert 'Ground truth' not in texts[0]


def test_files_elsewhere():
    """Two videos with absolute paths cannot be drawn into one folder."""
    hook = PredictionPicturesHook()
    hook.folder = '/data/videos'
    assert hook.relative_path('/data/videos/../videos/a/b.mp4') == 'a/b.mp4'
    assert hook.relative_path('/data/b.mp4') == 'data/b.mp4'


def test_flow_cannot_be_drawn(arguments, fails):
    assert 'cannot draw clips of 2 channels' in fails(*arguments('flow'))

"""Pictures of a test."""

import cv2
import pytest
from mmaction.visualization import ActionVisualizer
from untrained import CONFIGS, untrained, write_videos


@pytest.fixture
def arguments(tmp_path):
    """Arguments of test.py, for a stream: draw every other of three videos."""
    frames = write_videos(tmp_path / 'videos')
    (tmp_path / 'list.txt').write_text(''.join(f'{name} 7\n' for name in frames))

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
        command.append(f'{dataset}.ann_file={tmp_path}/list.txt')
        return [*command, f'{dataset}.data_prefix.video={tmp_path}/videos']

    return of


@pytest.mark.parametrize('stream', ['rgb', 'twostream'])
def test_what_was_seen_and_predicted_is_drawn(stream, arguments, tool, tmp_path, monkeypatch):
    texts, draw_texts = [], ActionVisualizer.draw_texts

    def draw(self, text, *args, **kwargs):
        texts.append(text)
        return draw_texts(self, text, *args, **kwargs)

    monkeypatch.setattr(ActionVisualizer, 'draw_texts', draw)
    tool(*arguments(stream))
    assert sorted(path.name for path in (tmp_path / 'show').iterdir()) == ['a b.mp4', 'short.mp4']
    pictures = list((tmp_path / 'show/a b.mp4/frames_0').iterdir())
    assert sorted(int(path.stem) for path in pictures) == list(range(2 * 8))
    assert all(cv2.imread(str(path)).shape == (448, 448, 3) for path in pictures)
    frame, truth, prediction = texts[15].splitlines()
    assert frame == 'Frame 15 of total 16 frames'
    assert truth.split() == ['Ground', 'truth:', '7']
    assert prediction.startswith('Prediction: ')


def test_flow_is_no_picture(arguments, fails):
    assert 'clips of 2 channels are no pictures' in fails(*arguments('flow'))

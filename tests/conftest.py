"""Real video files and tiny settings that every test can afford."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope, init_default_scope

import r21d_plugin  # noqa: F401

ROOT = Path(__file__).parents[1]

TINY = {
    'model.backbone.base_channels': 4,
    'model.cls_head.in_channels': 32,
    'train_dataloader.batch_size': 4,
    'train_dataloader.num_workers': 1,
    'train_dataloader.sampler.epoch_size': 8,
    'val_dataloader.batch_size': 4,
    'val_dataloader.num_workers': 1,
    'test_dataloader.batch_size': 2,
    'test_dataloader.num_workers': 1,
    'train_cfg.max_epochs': 2,
    'default_hooks.logger.interval': 1,
}
"""Overrides that make a config of the paper run in a second."""


@pytest.fixture(autouse=True)
def mmaction_scope():
    """What a runner sets up for the pipelines it builds."""
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmaction')


def write_video(path: Path, frames: int, size: tuple[int, int] = (96, 72), seed: int = 0) -> Path:
    """Encode a video of drifting noise; size is width and height in pixels."""
    rng = np.random.default_rng(seed)
    width, height = size
    canvas = cv2.GaussianBlur(rng.uniform(0, 255, (height * 2, width * 2, 3)), (0, 0), 3)
    canvas = np.uint8(np.clip((canvas - 127) * 4 + 127, 0, 255))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 25, size)
    for i in range(frames):
        writer.write(np.ascontiguousarray(canvas[i % height :, i % width :][:height, :width]))
    writer.release()
    return path


@pytest.fixture(scope='session')
def kinetics(tmp_path_factory) -> Path:
    """A folder whose data/kinetics400 holds six real videos in MMAction2's layout."""
    root = tmp_path_factory.mktemp('kinetics')
    data = root / 'data/kinetics400'
    lines = []
    for i in range(6):
        name = f'video {i}.mp4'  # names with spaces exist in Kinetics
        lines.append(f'{name} {i}\n')
        for split in ('train', 'val'):
            folder = data / f'videos_{split}'
            folder.mkdir(parents=True, exist_ok=True)
            write_video(folder / name, frames=12 + 5 * i, seed=i)
    for split in ('train', 'val'):
        (data / f'kinetics400_{split}_list_videos.txt').write_text(''.join(lines))
    return root


@pytest.fixture
def in_kinetics(kinetics, monkeypatch) -> Path:
    """Run in the folder of :func:`kinetics`."""
    monkeypatch.chdir(kinetics)
    return kinetics

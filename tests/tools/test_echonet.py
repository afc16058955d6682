"""EchoNet-Dynamic: its lists, its recipe, and a run on videos of its format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support import write_video

from r21d_plugin import InputError, PublicWeights, create_model
from r21d_plugin.cli.launch import load_config

CONFIG = 'configs/r2plus1d_18_echonet_32f.py'
PREPARE = ('data/prepare.py', 'echonet', '--videos', 'Videos', '--workers', 1, '--annotations')
HEADER = 'FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split\n'
SPLITS = ('TRAIN', 'TRAIN', 'TRAIN', 'VAL', 'VAL', 'TEST', 'TEST')


@pytest.fixture(scope='module')
def echonet(tmp_path_factory) -> Path:
    """Make seven videos, the last with one traced frame, and weights of a narrow network."""
    folder = tmp_path_factory.mktemp('echonet')
    (folder / 'Videos').mkdir()
    rows, traces = [HEADER], ['FileName,X1,Y1,X2,Y2,Frame\n']
    for number, split in enumerate(SPLITS):
        name, frames = f'0X{number:X}', 12 + number
        write_video(folder / f'Videos/{name}.avi', frames, (32, 32), number, codec='MJPG')
        rows.append(f'{name},{50.5 + number},1,2,112,112,50,{frames},{split}\n')
        seen = (3, 5) if number < 6 else (3, 3)
        traces += [f'{name}.avi,1.5,2,3,4,{frame}\n' for frame in seen]
    (folder / 'FileList.csv').write_text(''.join(rows))
    (folder / 'VolumeTracings.csv').write_text(''.join(traces))
    torch.manual_seed(0)
    model = create_model('r2plus1d_18', num_classes=7, base_channels=4, midplanes='block')
    torch.save(model.state_dict(), folder / 'narrow.pth')
    return folder


@pytest.fixture
def prepared(echonet, monkeypatch, tmp_path, tool) -> Path:
    """A folder to work in, with the lists of the videos."""
    monkeypatch.chdir(tmp_path)
    for path in echonet.iterdir():
        Path(path.name).symlink_to(path)
    tool(*PREPARE, 'FileList.csv', 'VolumeTracings.csv')
    return tmp_path


def listed(name: str) -> list[str]:
    return Path(f'data/echonet/echonet_{name}_list_videos.txt').read_text().splitlines()


def test_lists(prepared, tool):
    assert listed('train') == ['0X0.avi 50.5', '0X1.avi 51.5', '0X2.avi 52.5']
    assert listed('val') == ['0X3.avi 53.5', '0X4.avi 54.5']
    assert listed('test') == ['0X5.avi 55.5']
    tool(*PREPARE, 'FileList.csv')
    assert listed('test') == ['0X5.avi 55.5', '0X6.avi 56.5']


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ('0X0,high,1,2,1,1,50,9,TRAIN', "FileList.csv, line 2: EF is 'high', not a number"),
        ('0X0,50,1,2,1,1,50,9,DEV', "FileList.csv, line 2: split 'DEV': use TRAIN, VAL or TEST"),
    ],
)
def test_bad_rows(prepared, fails, row, message):
    Path('FileList.csv').unlink()
    Path('FileList.csv').write_text(f'{HEADER}{row}\n')
    assert message in fails(*PREPARE, 'FileList.csv')


def test_recipe(prepared):
    """The recipe is that of the authors' code of 2020."""
    cfg = load_config(CONFIG, {})
    weights = PublicWeights.R2PLUS1D_18_TORCHVISION_KINETICS_16F.value
    assert cfg.load_from == weights.url
    backbone = cfg.model.backbone
    assert (backbone.type, backbone.depth) == ('r21d_plugin.R2Plus1D', 18)
    assert backbone.midplanes == weights.midplanes == 'block'
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=1e-4)
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 20
    assert cfg.train_dataloader.drop_last
    assert cfg.train_cfg.max_epochs == 45
    assert cfg.param_scheduler == [dict(type='StepLR', step_size=15, gamma=0.1)]
    head = cfg.model.cls_head
    assert head.loss_cls == dict(type='r21d_plugin.RegressionLoss')
    assert (head.target_std, head.get('target_mean'), head.get('dropout_ratio', 0)) == (1, None, 0)
    for name in ('train', 'val', 'test'):
        _, sample, read, *rest = cfg[f'{name}_dataloader'].dataset.pipeline
        assert (sample.clip_len, sample.frame_interval) == (32, 2)
        assert sample.get('num_clips', 1) == ('all' if name == 'test' else 1)
        assert read.scale is None
        kinds = ['r21d_plugin.RandomShift'] if name == 'train' else []
        assert [step.type for step in rest] == [*kinds, 'FormatShape', 'PackActionInputs']
    assert cfg.train_dataloader.dataset.pipeline[3].padding == 12
    assert cfg.test_evaluator.resamples == 10_000


def test_mean_and_deviation(prepared):
    """They are of the middle 16 frames of the training videos, every second one, looped."""
    from r21d_plugin.datasets.video_reader import VideoReader

    pixels = []
    for number in range(3):
        with VideoReader(Path(f'Videos/0X{number}.avi')) as video:
            frames = video.read(range(len(video)))
        pixels += [frames[2 * i % len(frames)] for i in range(16)]
    cfg = load_config(CONFIG, {})
    expected = np.stack(pixels).astype(float)
    np.testing.assert_allclose(
        cfg.model.data_preprocessor.mean, expected.mean((0, 1, 2)), atol=1e-3
    )
    np.testing.assert_allclose(cfg.model.data_preprocessor.std, expected.std((0, 1, 2)), atol=1e-3)


def test_without_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r'echonet_train_list_videos\.txt: no such annotation'):
        load_config(CONFIG, {})


def test_a_run(prepared, tool, capfd):
    small = ['weights=narrow.pth', 'clip_len=4', 'padding=3', 'train_cfg.max_epochs=1']
    for name in ('train', 'val', 'test'):
        small += [f'{name}_dataloader.num_workers=0']
    small += ['train_dataloader.batch_size=2', 'auto_scale_lr.enable=False']
    common = ['--device', 'cpu', '--work-dir', 'work']
    tool('train.py', CONFIG, *common, '--cfg-options', *small)
    (best,) = Path('work').glob('best_RMSE_epoch_*.pth')
    state = torch.load(best, weights_only=False)['state_dict']
    assert state['cls_head.target_mean'] == 51.5
    assert state['cls_head.target_std'] == 1
    tool('test.py', f'work/{Path(CONFIG).name}', best, *common, '--dump', 'scores.npz')
    (path,) = [p for p in Path('work').glob('*/*.json') if 'vis' not in str(p)]
    found = json.loads(path.read_text())
    with np.load('scores.npz') as file:
        (clips,), (target,) = file['scores'], file['targets']
    assert clips.shape == (17 - 6, 1), 'a clip of every second frame from each frame on'
    assert found['MAE'] == pytest.approx(abs(clips.mean() - target[0]), rel=1e-4)

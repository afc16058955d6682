"""MMAction2's own configs with our backbones in them, as a user would write them."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.utils import get_installed_path
from support import write_video

from r21d_plugin.weights import load_state_dict_of

CONFIGS = get_installed_path('mmaction') + '/.mim/configs/recognition'
CPU = ['--device', 'cpu']


class Recipe(NamedTuple):
    """A config of MMAction2, and what a user writes below its name as ``_base_``."""

    base: str
    own: str
    metric: str = 'acc/top1'
    frames: bool = False  # its network sees single frames, 8 of a video: ours sees them as a clip


def backbone(name: str, **arguments: object) -> str:
    """Write a tiny backbone of ours in the place of theirs."""
    arguments = (
        dict(_delete_=True, type=f'r21d_plugin.{name}', depth=18, base_channels=4) | arguments
    )
    return f'backbone={arguments!r}'


HEAD = 'cls_head=dict(in_channels=32)'
CLASSES_174 = "_delete_=True, type='I3DHead', num_classes=174, average_clips='prob'"
VIDEO = "type='Recognizer3D', data_preprocessor=dict(format_shape='NCTHW')"


RECIPES = {
    'i3d': Recipe(
        'i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb',
        f"""
model = dict({backbone('R2Plus1D')}, {HEAD})
train_dataloader = dict(num_workers=1, persistent_workers=True)
""",
    ),
    'i3d_dense': Recipe(
        'i3d/i3d_imagenet-pretrained-r50_8xb8-dense-32x2x1-100e_kinetics400-rgb',
        f"""
model = dict({backbone('R3D', with_cp=True)}, {HEAD})
optim_wrapper = dict(accumulative_counts=2)
""",
    ),
    'c3d': Recipe(
        'c3d/c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb',
        f"""
model = dict({backbone('R3D')}, cls_head=dict(in_channels=32))
""",
    ),
    'slowonly': Recipe(
        'slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb',
        f"""
model = dict({backbone('MCx', x=3)}, {HEAD})
""",
    ),
    'slowonly_flow': Recipe(
        'slowonly/slowonly_r50_8xb16-16x4x1-256e_kinetics400-flow',
        f"""
model = dict({backbone('R2Plus1D', in_channels=2)}, {HEAD})
""",
    ),
    'kinetics710': Recipe(
        'slowonly/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb',
        f"""
model = dict({backbone('RMCx', x=4)}, {HEAD})
""",
    ),
    'tsn': Recipe(
        'tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb',
        f"""
head = dict(_delete_=True, type='I3DHead', num_classes=400, in_channels=32, average_clips='prob')
model = dict({VIDEO}, {backbone('FR2D')}, cls_head=head)
""",
        frames=True,
    ),
    'csn': Recipe(
        'csn/ircsn_ig65m-pretrained-r152-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb',
        f"""
model = dict({backbone('R2Plus1D', norm_eval=True, frozen_stages=1)}, {HEAD})
""",
    ),
    'swin': Recipe(
        'swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb',
        f"""
model = dict({backbone('R2Plus1D')}, {HEAD})
""",
    ),
    'slowfast': Recipe(
        'slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb',
        f"""
model = dict({backbone('R3D', out_indices=(2, 3))}, cls_head=dict(in_channels=48))
""",
    ),
    'slowfast_ema': Recipe(
        'slowfast/slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb',
        f"""
head = dict(_delete_=True, type='I3DHead', num_classes=400, in_channels=32, average_clips='prob')
model = dict({backbone('MCx', x=5)}, cls_head=head)
custom_hooks = [dict(type='EMAHook', momentum=0.5)]
""",
    ),
    'tpn': Recipe(
        'tpn/tpn-slowonly_r50_8xb8-8x8x1-150e_kinetics400-rgb',
        f"""
neck = dict(
    in_channels=(32, 64), out_channels=32,
    spatial_modulation_cfg=dict(in_channels=(32, 64), out_channels=64),
    temporal_modulation_cfg=dict(downsample_scales=(1, 1)),
    upsample_cfg=dict(scale_factor=(1, 1, 1)),
    level_fusion_cfg=dict(in_channels=(32, 32), mid_channels=(32, 32), out_channels=64))
model = dict(
    {backbone('FR2D', base_channels=8, out_indices=(2, 3))}, neck=neck)
""",
    ),
    'tpn_tsm': Recipe(
        'tpn/tpn-tsm_imagenet-pretrained-r50_8xb8-1x1x8-150e_sthv1-rgb',
        f"""
head = dict({CLASSES_174}, in_channels=32)
model = dict({VIDEO}, {backbone('R2D', clip_len=8)}, neck=None, cls_head=head)
""",
        frames=True,
    ),
    'tin': Recipe(
        'tin/tin_imagenet-pretrained-r50_8xb6-1x1x8-40e_sthv1-rgb',
        f"""
head = dict({CLASSES_174}, in_channels=32)
model = dict({VIDEO}, {backbone('R2Plus1D')}, cls_head=head)
""",
        frames=True,
    ),
    'trn': Recipe(
        'trn/trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv1-rgb',
        f"""
head = dict({CLASSES_174}, in_channels=32)
model = dict({VIDEO}, {backbone('MCx', x=4)}, cls_head=head)
""",
        frames=True,
    ),
    'r2plus1d': Recipe(
        'r2plus1d/r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb',
        f"""
model = dict({backbone('R2Plus1D', midplanes='block')}, {HEAD})
""",
    ),
    'c2d': Recipe(
        'c2d/c2d_r50-in1k-pre_8xb32-8x8x1-100e_kinetics400-rgb',
        f"""
model = dict({backbone('R2D', clip_len=8)}, {HEAD})
""",
    ),
    'mvit': Recipe(
        'mvit/mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb',
        f"""
head = dict(
    _delete_=True, type='I3DHead', num_classes=400, in_channels=32, label_smooth_eps=0.1,
    average_clips='prob')
model = dict({backbone('R2Plus1D')}, cls_head=head)
pipeline = [step for step in _base_.train_pipeline if step['type'] != 'PytorchVideoWrapper']
train_dataloader = dict(dataset=dict(pipeline=pipeline))
""",
    ),
    'timesformer': Recipe(
        'timesformer/timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb',
        f"""
head = dict(_delete_=True, type='I3DHead', num_classes=400, in_channels=32, average_clips='prob')
model = dict({backbone('RMCx', x=2)}, cls_head=head)
""",
    ),
    'uniformerv2': Recipe(
        'uniformerv2/uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb',
        f"""
head = dict(_delete_=True, type='I3DHead', num_classes=400, in_channels=32, average_clips='prob')
model = dict({backbone('R2Plus1D')}, cls_head=head)
pipeline = [step for step in _base_.train_pipeline if step['type'] != 'PytorchVideoWrapper']
train_dataloader = dict(dataset=dict(pipeline=pipeline))
""",
    ),
    'tanet': Recipe(
        'tanet/tanet_imagenet-pretrained-r50_8xb8-dense-1x1x8-100e_kinetics400-rgb',
        f"""
head = dict(_delete_=True, type='I3DHead', num_classes=400, in_channels=32, average_clips='prob')
model = dict({VIDEO}, {backbone('FR2D')}, cls_head=head)
""",
        frames=True,
    ),
    'tsm_iterations': Recipe(
        'tsm/tsm_imagenet-pretrained-r50_8xb16-dense-1x1x8-50e_kinetics400-rgb',
        f"""
head = dict(_delete_=True, type='I3DHead', num_classes=400, in_channels=32, average_clips='prob')
model = dict({VIDEO}, {backbone('R2Plus1D')}, cls_head=head)
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=1, val_interval=1)
train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
param_scheduler = [dict(type='PolyLR', by_epoch=False, begin=0, end=100)]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1))
log_processor = dict(by_epoch=False)
""",
        frames=True,
    ),
}

SMALLER = {
    'clip_len': lambda value: min(value, 8),
    'frame_interval': lambda value: 1,
    'num_clips': lambda value: min(value, 2),
    'scale': lambda value: tuple(max(side // 8, -1) for side in value),
    'scale_range': lambda value: tuple(side // 8 for side in value),
    'size': lambda value: value // 8,
    'crop_size': lambda value: value // 8,
    'input_size': lambda value: value // 8,
}
"""Arguments of transforms, for a few clips of 8 frames and a sixty-fourth of the pixels."""


def datasets(cfg: ConfigDict, path: str) -> Iterator[tuple[str, ConfigDict]]:
    """Give the datasets of a loader, those that a wrapper holds, with their dotted keys."""
    if 'datasets' in cfg:
        for i, dataset in enumerate(cfg.datasets):
            yield from datasets(dataset, f'{path}.datasets.{i}')
    else:
        yield path, cfg


def tiny_options(cfg: Config, frames: bool) -> list[str]:
    """Give options that make a config of MMAction2 run in a second."""
    options = {'default_hooks.logger.interval': 1, 'train_cfg.val_interval': 1}
    if 'max_epochs' in cfg.train_cfg:
        options['train_cfg.max_epochs'] = 1
    for mode in ('train', 'val', 'test'):
        loader = f'{mode}_dataloader'
        options[f'{loader}.batch_size'] = 2 if mode == 'train' else 1
        if cfg[loader].num_workers > 1:
            options |= {f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False}
        for key, dataset in datasets(cfg[loader].dataset, f'{loader}.dataset'):
            for i, step in enumerate(dataset.pipeline):
                values = {k: SMALLER[k](v) for k, v in step.items() if k in SMALLER}
                if frames and step.get('clip_len') == 1:
                    values = dict(clip_len=8, num_clips=2 if 'twice_sample' in step else 1)
                if frames and step.type == 'FormatShape':
                    values = dict(input_format='NCTHW')
                options |= {f'{key}.pipeline.{i}.{k}': v for k, v in values.items()}
    return [f'{k}={v}'.replace(' ', '') for k, v in options.items()]


def write_data(dataset: ConfigDict) -> None:
    """Put two short videos, as files or frames, where a dataset looks for them."""
    folder = Path(dataset.data_prefix.get('img') or dataset.data_prefix.video)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for label in range(2):
        if dataset.type == 'RawframeDataset':
            write_frames(folder / str(label), dataset)
            lines.append(f'{label} 10 {label}\n')
        else:
            write_video(folder / f'{label}.mp4', frames=10, size=(64, 48), seed=label)
            lines.append(f'{label}.mp4 {label}\n')
    Path(dataset.ann_file).parent.mkdir(parents=True, exist_ok=True)
    Path(dataset.ann_file).write_text(''.join(lines))


def write_frames(folder: Path, dataset: ConfigDict) -> None:
    """Write ten frames, or the two images of flow for each."""
    video = cv2.VideoCapture(str(write_video(folder.with_suffix('.mp4'), 10, (64, 48))))
    folder.mkdir(exist_ok=True)
    for number in range(1, 11):
        frame = video.read()[1]
        if dataset.get('modality') == 'Flow':
            for axis in 'xy':
                name = dataset.filename_tmpl.format(axis, number)
                cv2.imwrite(str(folder / name), frame[..., 'xy'.index(axis)])
        else:
            cv2.imwrite(str(folder / dataset.filename_tmpl.format(number)), frame)


def losses(work_dir: Path) -> list[tuple[int, float]]:
    """Read iterations and their losses from the logs of a work dir, in order."""
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return [(line['iter'], line['loss']) for line in lines if 'loss' in line]


def write_recipe(recipe: Recipe) -> list[str]:
    """Write the derived config and its data; give the options that make it tiny."""
    base = (
        f'{CONFIGS}/{recipe.base}.py'
        if 'mvit' in recipe.base
        else f'mmaction::recognition/{recipe.base}.py'
    )
    Path('mine.py').write_text(f'_base_ = {base!r}\n{recipe.own}')
    cfg = Config.fromfile('mine.py')
    for mode in ('train', 'val', 'test'):
        for _, dataset in datasets(cfg[f'{mode}_dataloader'].dataset, ''):
            write_data(dataset)
    return ['--cfg-options', *tiny_options(cfg, recipe.frames)]


@pytest.mark.parametrize('name', RECIPES)
def test_train_resume_and_test(name, tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe, work = RECIPES[name], tmp_path / 'work'
    options = write_recipe(recipe)
    unit = 'iter' if 'iterations' in name else 'epoch'
    tool('train.py', 'mine.py', *CPU, '--work-dir', work, *options)
    begun = len(losses(work))
    assert begun
    twice = [*options, f'train_cfg.max_{unit}s=2']
    tool('train.py', 'mine.py', *CPU, '--work-dir', work, '--resume', *twice)
    assert [iteration for iteration, _ in losses(work)] == [*range(1, 2 * begun + 1)]
    assert all(math.isfinite(loss) for _, loss in losses(work))
    before, after = (load_state_dict_of(str(work / f'{unit}_{i}.pth')) for i in (1, 2))
    weights = [key for key in before if 'backbone.layer4.' in key and before[key].ndim == 5]
    assert weights
    assert not any(torch.equal(before[key], after[key]) for key in weights), 'the network learns'

    tool('test.py', 'mine.py', work / f'{unit}_2.pth', *CPU, '--work-dir', work / 'test', *options)
    (result,) = (work / 'test').glob('*/*.json')
    assert 0 <= json.loads(result.read_text())[recipe.metric] <= 1

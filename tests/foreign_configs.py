"""MMAction2's own configs with our backbones, as a user writes them, and tiny data."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.utils import get_installed_path
from support import write_video

FRAMES = 10  # of a video


class Recipe(NamedTuple):
    """A config of MMAction2, and the lines that a user writes below ``_base_``."""

    base: str
    own: str
    frames: bool = False  # its network sees single frames, 8 of a video: ours sees them as a clip
    copied: bool = False  # the base is named by its path, not as ``mmaction::``


def ours(network: str, **arguments: object) -> str:
    """Write a tiny network of ours in place of the backbone."""
    arguments = {**dict(type=f'r21d_plugin.{network}', depth=18, base_channels=4), **arguments}
    return f'backbone=dict(_delete_=True, **{arguments!r})'


def i3d_head(num_classes: int, **arguments: object) -> str:
    """Write MMAction2's head for 3D networks in the place of another one."""
    arguments = {**dict(type='I3DHead', num_classes=num_classes, in_channels=32), **arguments}
    return f"cls_head=dict(_delete_=True, average_clips='prob', **{arguments!r})"


def clips(network: str) -> str:
    """Write a recognizer of clips in the place of one of single frames."""
    return f"type='Recognizer3D', data_preprocessor=dict(format_shape='NCTHW'), {network}"


WIDTH = 'cls_head=dict(in_channels=32)'

WITHOUT_PYTORCHVIDEO = """
pipeline = [step for step in _base_.train_pipeline if step['type'] != 'PytorchVideoWrapper']
train_dataloader = dict(dataset=dict(pipeline=pipeline))
"""

PYRAMID = """
neck = dict(
    in_channels=(32, 64), out_channels=32,
    spatial_modulation_cfg=dict(in_channels=(32, 64), out_channels=64),
    temporal_modulation_cfg=dict(downsample_scales=(1, 1)),
    level_fusion_cfg=dict(in_channels=(32, 32), mid_channels=(32, 32), out_channels=64))
"""

BY_ITERATION = """
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=1, val_interval=1)
train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
param_scheduler = [dict(type='PolyLR', by_epoch=False, begin=0, end=100)]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1))
log_processor = dict(by_epoch=False)
"""

RECIPES = {
    'I3D, in worker processes that persist': Recipe(
        'recognition/i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb',
        f'model = dict({ours("R2Plus1D")}, {WIDTH})\n'
        'train_dataloader = dict(num_workers=1, persistent_workers=True)',
    ),
    'I3D, dense sampling, accumulated gradients': Recipe(
        'recognition/i3d/i3d_imagenet-pretrained-r50_8xb8-dense-32x2x1-100e_kinetics400-rgb',
        f'model = dict({ours("R3D", with_cp=True)}, {WIDTH})\n'
        'optim_wrapper = dict(accumulative_counts=2)',
    ),
    'C3D, UCF101, a head that does not pool': Recipe(
        'recognition/c3d/c3d_sports1m-pretrained_8xb30-16x1x1-45e_ucf101-rgb',
        f'model = dict({ours("R3D")}, {WIDTH})',
    ),
    'SlowOnly, warm-up and cosine': Recipe(
        'recognition/slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb',
        f'model = dict({ours("MCx", x=3)}, {WIDTH})',
    ),
    'SlowOnly, stored flow': Recipe(
        'recognition/slowonly/slowonly_r50_8xb16-16x4x1-256e_kinetics400-flow',
        f'model = dict({ours("R2Plus1D", in_channels=2)}, {WIDTH})',
    ),
    'SlowOnly, three datasets as one': Recipe(
        'recognition/slowonly/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_'
        'kinetics710-rgb',
        f'model = dict({ours("RMCx", x=4)}, {WIDTH})',
    ),
    'TSN, ten crops': Recipe(
        'recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb',
        f'model = dict({clips(ours("FR2D"))}, {i3d_head(400)})',
        frames=True,
    ),
    'CSN, frozen norms, ten views at once': Recipe(
        'recognition/csn/ircsn_ig65m-pretrained-r152-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb',
        f'model = dict({ours("R2Plus1D", norm_eval=True, frozen_stages=1)}, {WIDTH})',
    ),
    'Swin, AdamW in mixed precision': Recipe(
        'recognition/swin/swin-tiny-p244-w877_in1k-pre_8xb8-amp-32x2x1-30e_kinetics400-rgb',
        f'model = dict({ours("R2Plus1D")}, {WIDTH})',
    ),
    'SlowFast, two feature maps': Recipe(
        'recognition/slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb',
        f'model = dict({ours("R3D", out_indices=(2, 3))}, cls_head=dict(in_channels=48))',
    ),
    'SlowFast, steps, averaged weights': Recipe(
        'recognition/slowfast/slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb',
        f'model = dict({ours("MCx", x=5)}, {i3d_head(400)})\n'
        "custom_hooks = [dict(type='EMAHook', momentum=0.5)]",
    ),
    'TPN, a neck with a loss of its own': Recipe(
        'recognition/tpn/tpn-slowonly_r50_8xb8-8x8x1-150e_kinetics400-rgb',
        f'{PYRAMID}model = dict({ours("FR2D", base_channels=8, out_indices=(2, 3))}, neck=neck)',
    ),
    'TPN with TSM, frames of SthV1, labels that flip': Recipe(
        'recognition/tpn/tpn-tsm_imagenet-pretrained-r50_8xb8-1x1x8-150e_sthv1-rgb',
        f'model = dict({clips(ours("R2D", clip_len=8))}, neck=None, {i3d_head(174)})',
        frames=True,
    ),
    "TIN, TSM's optimizer groups": Recipe(
        'recognition/tin/tin_imagenet-pretrained-r50_8xb6-1x1x8-40e_sthv1-rgb',
        f'model = dict({clips(ours("R2Plus1D"))}, {i3d_head(174)})',
        frames=True,
    ),
    'TRN, samples twice': Recipe(
        'recognition/trn/trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv1-rgb',
        f'model = dict({clips(ours("MCx", x=4))}, {i3d_head(174)})',
        frames=True,
    ),
    'R2plus1D': Recipe(
        'recognition/r2plus1d/r2plus1d_r34_8xb8-8x8x1-180e_kinetics400-rgb',
        f'model = dict({ours("R2Plus1D", midplanes="block")}, {WIDTH})',
    ),
    'C2D': Recipe(
        'recognition/c2d/c2d_r50-in1k-pre_8xb32-8x8x1-100e_kinetics400-rgb',
        f'model = dict({ours("R2D", clip_len=8)}, {WIDTH})',
    ),
    'MViT, Mixup and CutMix, repeated augmentation': Recipe(
        'recognition/mvit/mvit-small-p244_32xb16-16x4x1-200e_kinetics400-rgb',
        f'model = dict({ours("R2Plus1D")}, {i3d_head(400, label_smooth_eps=0.1)})'
        f'{WITHOUT_PYTORCHVIDEO}',
        copied=True,  # MMEngine 0.10.7 puts an argument into collate_fn where it is mmaction::
    ),
    'TimeSformer, random scales': Recipe(
        'recognition/timesformer/timesformer_divST_8xb8-8x32x1-15e_kinetics400-rgb',
        f'model = dict({ours("RMCx", x=2)}, {i3d_head(400)})',
    ),
    'UniFormerV2, uniform sampling, scaled rate': Recipe(
        'recognition/uniformerv2/uniformerv2-base-p16-res224_clip_8xb32-u8_kinetics400-rgb',
        f'model = dict({ours("R2Plus1D")}, {i3d_head(400)}){WITHOUT_PYTORCHVIDEO}',
    ),
    'TANet, dense frames': Recipe(
        'recognition/tanet/tanet_imagenet-pretrained-r50_8xb8-dense-1x1x8-100e_kinetics400-rgb',
        f'model = dict({clips(ours("FR2D"))}, {i3d_head(400)})',
        frames=True,
    ),
    'TSM, by iterations': Recipe(
        'recognition/tsm/tsm_imagenet-pretrained-r50_8xb16-dense-1x1x8-50e_kinetics400-rgb',
        f'model = dict({clips(ours("R2Plus1D"))}, {i3d_head(400)}){BY_ITERATION}',
        frames=True,
    ),
}
"""Recipes by the feature that they test."""

AVA = Recipe(
    'detection/slowonly/slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb',
    f'model = dict(init_cfg=None, {ours("R2Plus1D", out_indices=(2, 3))},\n'
    '    roi_head=dict(bbox_head=dict(in_channels=48)))',
)

X3D = Recipe(
    'recognition/x3d/x3d_s_13x6x1_facebook-kinetics400-rgb', f'model = dict({ours("R3D")}, {WIDTH})'
)
"""A config that only tests."""

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


def write_recipe(recipe: Recipe) -> list[str]:
    """Write ``mine.py`` and its data into the current folder; return options that make it tiny."""
    base = f'mmaction::{recipe.base}.py'
    if recipe.copied:
        base = f'{get_installed_path("mmaction")}/.mim/configs/{recipe.base}.py'
    Path('mine.py').write_text(f'_base_ = {base!r}\n{recipe.own}\n')
    cfg = Config.fromfile('mine.py')
    options = {'default_hooks.logger.interval': 1}
    if 'max_epochs' in (cfg.get('train_cfg') or {}):
        options.update({'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1})
    for mode in ('train', 'val', 'test'):
        loader = f'{mode}_dataloader'
        if cfg.get(loader) is None:
            continue
        options[f'{loader}.batch_size'] = 2 if mode == 'train' else 1
        if cfg[loader].num_workers > 1:
            options.update({f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False})
        for key, dataset in datasets(cfg[loader].dataset, f'{loader}.dataset'):
            write_data(dataset)
            options.update(smaller_pipeline(dataset.pipeline, f'{key}.pipeline', recipe.frames))
    return ['--cfg-options', *(f'{k}={v}'.replace(' ', '') for k, v in options.items())]


def datasets(cfg: ConfigDict, key: str) -> Iterator[tuple[str, ConfigDict]]:
    """Give the datasets of a loader, those that a wrapper holds, with their dotted keys."""
    if 'datasets' in cfg:
        for i, dataset in enumerate(cfg.datasets):
            yield from datasets(dataset, f'{key}.datasets.{i}')
    else:
        yield key, cfg


def smaller_pipeline(pipeline: list[ConfigDict], key: str, frames: bool) -> dict[str, object]:
    """Give the options that make a pipeline tiny."""
    options = {}
    for i, step in enumerate(pipeline):
        values = {k: SMALLER[k](v) for k, v in step.items() if k in SMALLER}
        if frames and step.get('clip_len') == 1:
            values = dict(clip_len=8, num_clips=2 if 'twice_sample' in step else 1)
        if frames and step.type == 'FormatShape':
            values = dict(input_format='NCTHW')
        options.update({f'{key}.{i}.{k}': v for k, v in values.items()})
    return options


def write_data(dataset: ConfigDict) -> None:
    """Put two short videos, as files or frames, where a dataset looks for them."""
    folder = Path(dataset.data_prefix.get('img') or dataset.data_prefix.video)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for label in range(2):
        video = write_video(folder / f'{label}.mp4', FRAMES, size=(64, 48), seed=label)
        if dataset.type == 'VideoDataset' or dataset.type == 'RepeatAugDataset':
            lines.append(f'{label}.mp4 {label}\n')
        else:
            write_frames(video, dataset)
            lines.append(f'{label} {FRAMES} {label}\n')
    Path(dataset.ann_file).parent.mkdir(parents=True, exist_ok=True)
    Path(dataset.ann_file).write_text(''.join(lines))
    if dataset.type == 'AVADataset':
        write_boxes(dataset)


def write_frames(path: Path, dataset: ConfigDict) -> None:
    """Write the frames of a video into the folder of its name, or two images of flow for each."""
    video = cv2.VideoCapture(str(path))
    template = dataset.get('filename_tmpl', 'img_{:05}.jpg')
    path.with_suffix('').mkdir(exist_ok=True)
    for number in range(1, FRAMES + 1):
        frame = video.read()[1]
        if dataset.get('modality') == 'Flow':
            for i, axis in enumerate('xy'):
                cv2.imwrite(
                    str(path.with_suffix('') / template.format(axis, number)), frame[..., i]
                )
        else:
            cv2.imwrite(str(path.with_suffix('') / template.format(number)), frame)


def write_boxes(dataset: ConfigDict) -> None:
    """Write a person with an action at the first second of each video, as AVA does."""
    rows = [f'{video},900,0.1,0.2,0.6,0.9,{action},0\n' for video in '01' for action in (1, 3)]
    Path(dataset.ann_file).write_text(''.join(rows))
    Path(dataset.exclude_file).write_text('')
    labels = (f'item {{\n  name: "action {i}"\n  id: {i}\n}}\n' for i in range(1, 81))
    Path(dataset.label_file).write_text(''.join(labels))
    boxes = np.float32([[0.1, 0.2, 0.6, 0.9, 0.99]])
    proposals = {f'{video},0900': boxes for video in '01'}
    Path(dataset.proposal_file).write_bytes(pickle.dumps(proposals))

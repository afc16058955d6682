"""Measure the training speed of a config in clips per second, and estimate its whole recipe.

By default random clips in memory are used, so only the network is measured, accelerated as in
training. With --data, clips come from the config's dataloader, whose time is included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import chain, islice, repeat
from typing import Any

import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from r21d_plugin import InputError, accelerate
from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.cli.launch import load_config
from r21d_plugin.engine import keep_freed_memory

WARMUP = 3
"""Warm-up steps, which are not measured; with --data also the batches that workers prefetch."""


CUTS = ('RandomCrop', 'Resize')
"""Transforms that give the size of a clip's frames."""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--batch-size', type=int, help="clips per step; default: the config's")
    parser.add_argument('--steps', type=int, default=20, help='steps to measure (20)')
    parser.add_argument('--gpus', type=int, default=8, help='GPUs to estimate the hours for (8)')
    parser.add_argument('--data', action='store_true', help="use clips of the config's dataloader")
    parser.add_argument('--amp', action='store_true', help='mixed precision, on a GPU')
    return parser.parse_args()


def make_batch(cfg: Config, batch_size: int) -> dict:
    """Create a random batch in the format of the config's dataloader."""
    sample = next(t for t in cfg.train_pipeline if t['type'].endswith('SampleFramesOfClips'))
    sizes = [t.get('size') or t['scale'][0] for t in cfg.train_pipeline if t['type'] in CUTS]
    if not sizes:
        raise InputError('the training pipeline has no crop: use --data')
    size = sizes[-1]
    backbone = cfg.model.backbone
    streams = dict(imgs=3, flow=2) if 'flow' in backbone else {'': backbone.get('in_channels', 3)}
    inputs: Any = {
        name: [torch.rand(1, channels, sample['clip_len'], size, size) for _ in range(batch_size)]
        for name, channels in streams.items()
    }
    samples = [ActionDataSample().set_gt_label(i % cfg.num_classes) for i in range(batch_size)]
    return dict(inputs=inputs.get('', inputs), data_samples=samples)


def batches(cfg: Config, batch_size: int, data: bool) -> tuple[Iterator[dict], int]:
    """Return endless batches, from the config's videos or random, and how many are prefetched."""
    if not data:
        return repeat(make_batch(cfg, batch_size)), 0
    loader_cfg = dict(cfg.train_dataloader, batch_size=batch_size)
    loader = Runner.build_dataloader(loader_cfg, seed=0)
    prefetched = loader.num_workers * (loader.prefetch_factor or 0)
    return chain.from_iterable(repeat(loader)), prefetched


def measure(cfg: Config, batch_size: int, steps: int, data: bool) -> float:
    """Measure the mean seconds of a training step."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = MODELS.build(cfg.model)
    accelerate(model.to(device).train())
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    endless, prefetched = batches(cfg, batch_size, data)
    warmup = WARMUP + prefetched
    for step, batch in enumerate(islice(endless, warmup + steps)):
        if step == warmup:
            start = now(device)
        model.train_step(batch, optimizer)
    return (now(device) - start) / steps


def now(device: str) -> float:
    """Return the time after the GPU has finished its work."""
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    """Measure and print."""
    args = parse_args()
    init_default_scope('mmaction')
    with errors_in_one_line():
        cfg = load_config(args.config)
        torch.backends.cudnn.benchmark = cfg.get('env_cfg', {}).get('cudnn_benchmark', False)
        if not torch.cuda.is_available():
            keep_freed_memory()  # as our commands do
        if args.amp:
            cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
        batch_size = args.batch_size or cfg.train_dataloader.batch_size
        if min(batch_size, args.steps, args.gpus) < 1:
            raise InputError('--batch-size, --steps and --gpus have to be at least 1')
        rate = batch_size / measure(cfg, batch_size, args.steps, args.data)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'the CPU'
    sampler = cfg.train_dataloader.sampler
    print(f'{rate:.2f} clips per second on {device}, {batch_size} in a step')
    sizes = [sampler.get('epoch_size'), *sampler.get('epoch_sizes', {}).values()]
    epoch_size = next(filter(None, sizes), None)
    if epoch_size is None:  # an epoch is the number of videos, which are not counted here
        return
    clips = cfg.train_cfg.max_epochs * epoch_size
    hours = clips / rate / 3600
    shared = f'{hours / args.gpus:,.1f} on {args.gpus} if they scale perfectly'
    print(f'{clips:,} clips in all: {hours:,.1f} hours on one, {shared}')


if __name__ == '__main__':
    main()

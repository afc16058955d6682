"""Random networks, for tests of the uses of trained ones."""

from __future__ import annotations

from pathlib import Path

import torch
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from support import ROOT, write_video

from r21d_plugin.cli.launch import load_config

CONFIGS = {
    'rgb': ROOT / 'configs/r2plus1d_18_motion.py',
    'flow': ROOT / 'configs/r2plus1d_18_flow_motion.py',
    'twostream': ROOT / 'configs/r2plus1d_18_twostream_motion.py',
}
"""Small networks on 8-frame clips of 48 x 48 pixels, 10 classes and 64 features a stream."""


def untrained(folder: Path, stream: str = 'rgb', seed: int = 0) -> Path:
    """Write a checkpoint of a random network whose scores are far from uniform."""
    init_default_scope('mmaction')
    torch.manual_seed(seed)
    model = MODELS.build(load_config(str(CONFIGS[stream])).model)
    model.init_weights()
    for name, value in model.state_dict().items():
        if name.endswith('fc_cls.weight'):
            value *= 100
    path = folder / f'{stream}_{seed}.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


def write_videos(folder: Path) -> dict[str, int]:
    """Write a few videos; return their frames by path below the folder."""
    frames = {'a b.mp4': 21, 'sub/vidéo.avi': 16, 'sub/short.mp4': 5}
    (folder / 'sub').mkdir(parents=True)
    for seed, (name, count) in enumerate(frames.items()):
        write_video(folder / name, count, seed=seed, codec='mp4v')
    return frames

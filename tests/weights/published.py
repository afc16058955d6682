"""Write files in exactly the formats in which others publish weights, from seeded networks."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import nn

from r21d_plugin.weights.formats import replace_prefixes

NORM = dict(weight='s', bias='b', running_mean='rm', running_var='riv')


def seed_norms(model: nn.Module) -> nn.Module:
    """Give batch norm statistics and scales as training leaves them; evaluation mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.01, 2)
            module.weight.data.uniform_(0.2, 0.6)
            module.bias.data.normal_(0, 0.1)
    return model.eval()


def caffe2_blobs(model: nn.Module) -> dict[str, np.ndarray]:
    """Return the blobs of a ``create_model`` network under VMZ's names, built block by block."""
    blobs: dict[str, np.ndarray] = {}

    def conv(name: str, module: nn.Module) -> None:
        blobs[f'{name}_w'] = module.weight.detach().numpy()

    def norm(name: str, module: nn.Module) -> None:
        for attribute, suffix in NORM.items():
            blobs[f'{name}_{suffix}'] = getattr(module, attribute).detach().numpy()

    backbone = model
    stem = [m for m in backbone.stem if not isinstance(m, nn.ReLU)]
    if len(stem) == 4:
        conv('conv1_middle', stem[0])
        norm('conv1_middle_spatbn_relu', stem[1])
    conv('conv1', stem[-2])
    norm('conv1_spatbn_relu', stem[-1])
    blocks = [block for layer in backbone.groups[1:] for block in layer]
    for i, block in enumerate(blocks):
        for j in (1, 2, 3):
            if not hasattr(block, f'conv{j}'):  # only bottlenecks have the third
                continue
            convolution, batch_norm = block.get_submodule(f'conv{j}')[:2]
            if isinstance(convolution, nn.Sequential):
                conv(f'comp_{i}_conv_{j}_middle', convolution[0])
                norm(f'comp_{i}_spatbn_{j}_middle', convolution[1])
                convolution = convolution[3]
            conv(f'comp_{i}_conv_{j}', convolution)
            norm(f'comp_{i}_spatbn_{j}', batch_norm)
        if isinstance(block.downsample, nn.Sequential):
            conv(f'shortcut_projection_{i}', block.downsample[0])
            norm(f'shortcut_projection_{i}_spatbn', block.downsample[1])
    classes = model.fc.out_features
    blobs[f'last_out_L{classes}_w'] = model.fc.weight.detach().numpy()
    blobs[f'last_out_L{classes}_b'] = model.fc.bias.detach().numpy()
    return blobs


def gluoncv(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state dict of a ``create_model`` R(2+1)D under GluonCV's names."""
    names = {}
    for i, new in {0: 'conv1', 1: 'bn1', 3: 'conv2', 4: 'bn2'}.items():
        names[f'stem.{i}.'] = f'{new}.'
    for name, module in model.named_modules():
        if name.endswith(('.conv1', '.conv2', '.conv3')):
            halves = {0: 'conv1', 1: 'bn1', 3: 'conv2'} if hasattr(module[0], '__len__') else {}
            names.update({f'{name}.0.{i}.': f'{name}.{new}.' for i, new in halves.items()})
            names[f'{name}.0.'] = f'{name}.'  # where one convolution is not two
            names[f'{name}.1.'] = f'{name[:-5]}bn{name[-1]}.'
    return replace_prefixes(model.state_dict(), names)


def gluoncv_of_vmz(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state dict of an R(2+1)D of bottlenecks under GluonCV's names of VMZ's network."""
    names = {'stem.0.': 'conv1_middle.', 'stem.1.': 'bn1_middle.', 'stem.3.': 'conv1.'}
    names.update({'stem.4.': 'bn1.', 'fc.': 'out_fc.'})
    for name, _ in model.named_modules():
        if name.endswith('downsample'):
            names[f'{name}.'] = name.replace('downsample', 'down_sample.')
        elif name.endswith('.conv2'):
            names.update({f'{name}.0.0.': f'{name}_middle.', f'{name}.0.3.': f'{name}.'})
            names[f'{name}.0.1.'] = f'{name[:-5]}bn2_middle.'
            names[f'{name}.1.'] = f'{name[:-5]}bn2.'
        elif name.endswith(('.conv1', '.conv3')):
            names.update({f'{name}.0.': f'{name}.', f'{name}.1.': f'{name[:-5]}bn{name[-1]}.'})
    return replace_prefixes(model.state_dict(), names)


def string(content: bytes) -> bytes:
    """Pickle a string as Python 2 does."""
    if len(content) < 256:
        return b'U' + bytes([len(content)]) + content
    return b'T' + struct.pack('<i', len(content)) + content


def integer(value: int) -> bytes:
    return b'J' + struct.pack('<i', value)


def array(value: np.ndarray) -> bytes:
    """Pickle an array as NumPy did under Python 2, with its bytes in a string."""
    kind = value.dtype.str[1:].encode()
    dtype = b'cnumpy\ndtype\n' + string(kind) + b'K\x00K\x01\x87R'
    dtype += b'(K\x03' + string(b'<') + b'NNN' + integer(-1) * 2 + b'K\x00tb'
    shape = b'(' + b''.join(integer(size) for size in value.shape) + b't'
    state = b'(K\x01' + shape + dtype + b'\x89' + string(value.tobytes()) + b't'
    empty = b'cnumpy\nndarray\n' + b'K\x00\x85' + string(b'b')
    return b'cnumpy.core.multiarray\n_reconstruct\n' + empty + b'\x87R' + state + b'b'


def write_caffe2(blobs: dict[str, np.ndarray], path: Path) -> Path:
    """Write ``{'blobs': {name: array}}`` as Python 2 did, protocol 2."""
    items = b''.join(string(name.encode()) + array(value) for name, value in blobs.items())
    path.write_bytes(b'\x80\x02}' + string(b'blobs') + b'}(' + items + b'us.')
    return path


def save(model: nn.Module, path: Path) -> Path:
    """Write the state dict of a network of ours as torchvision publishes it, without metadata."""
    torch.save(dict(model.state_dict()), path)
    return path

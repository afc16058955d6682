"""Frames that clips have in common are convolved once."""

import pytest
import torch
from torch import nn

from r21d_plugin import create_model
from r21d_plugin.models.frames import UniqueFrames


def overlapping(clips=5, frames=8, step=2, size=32):
    """Clips of a video that begin a few frames after one another."""
    torch.manual_seed(0)
    video = torch.randn(3, (clips - 1) * step + frames, size, size)
    return torch.stack([video[:, i * step : i * step + frames] for i in range(clips)])


def test_frames_and_their_places():
    clips = overlapping()
    unique = UniqueFrames(clips)
    assert unique.frames.shape == (16, 3, 1, 32, 32)
    assert torch.equal(unique.clips(unique.frames), clips)


@pytest.mark.parametrize(('name', 'groups'), [('fr2d_18', 5), ('rmc2_18', 1), ('rmc4_18', 3)])
def test_same_result_with_fewer_frames(name, groups):
    model = create_model(name, 7, base_channels=8, out_indices=(0, 3))
    clips = overlapping()
    model.backbone(clips)
    backbone = model.backbone.eval()
    assert backbone.frame_wise == groups
    seen = []
    for module in backbone.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, args, out: seen.append(len(out) * out.shape[2]))
    with torch.no_grad():
        shared = backbone(clips)
        shared_frames, seen[:] = seen[0], []
        apart = [backbone(clip[None]) for clip in clips]
    assert shared_frames == 16
    assert seen[0] == 8
    for both, single in zip(shared, zip(*apart, strict=True), strict=True):
        torch.testing.assert_close(both, torch.cat(single), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['r3d_18', 'mc3_18', 'r2d_18', 'r2plus1d_18'])
def test_other_networks_see_clips(name):
    assert create_model(name, base_channels=4).backbone.frame_wise == 0

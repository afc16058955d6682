"""Preprocessing for public weights, compared with OpenCV and torchvision's numbers."""

import cv2
import numpy as np
import pytest
import torch

from r21d_plugin import InputError, PublicWeights
from r21d_plugin.weights import find_weights
from r21d_plugin.weights.transforms import VideoClassification

RGB = PublicWeights.R2PLUS1D_18_TORCHVISION_KINETICS_16F
FLOW = PublicWeights.R2PLUS1D_34_VMZ_SPORTS1M_KINETICS_FLOW_32F


@pytest.fixture
def clips():
    """Make two clips of four frames."""
    torch.manual_seed(0)
    return torch.randint(0, 256, (2, 4, 3, 240, 320), dtype=torch.uint8)


def test_it_is_torchvisions_normalisation():
    """Its presets have ``VideoClassification(mean=(0.43216, ...), std=...)`` for 0 to 1."""
    preset = RGB.transforms()
    theirs = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
    for ours, expected in zip((preset.mean, preset.std), theirs):
        assert np.array(ours) / 255 == pytest.approx(expected, rel=3e-5)
    assert (preset.resize_size, preset.crop_size) == ((128, 171), (112, 112))


def test_rgb(clips):
    """OpenCV resizes the frames and MMAction2 crops them."""
    preset = RGB.transforms()
    out = preset(clips)
    assert out.shape == (2, 3, 4, 112, 112)
    assert out.dtype == torch.float32
    restored = out.transpose(-4, -3) * torch.tensor(preset.std)[:, None, None]
    restored += torch.tensor(preset.mean)[:, None, None]
    for clip, result in zip(clips, restored):
        for frame, grey in zip(clip, result):
            image = frame.permute(1, 2, 0).numpy()
            resized = cv2.resize(image, (171, 128), interpolation=cv2.INTER_LINEAR)
            expected = torch.from_numpy(resized[8:120, 29:141]).permute(2, 0, 1)
            assert (grey - expected).abs().max() < 1


def test_normalisation_is_exact():
    preset = RGB.transforms()
    clips = torch.randint(0, 256, (5, 3, 128, 171), dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (preset.mean, preset.std))
    expected = (clips[..., 8:120, 29:141].float() - mean) / std
    assert torch.equal(preset(clips), expected.transpose(0, 1))
    assert torch.equal(preset(clips.float()), preset(clips))
    assert torch.equal(preset(clips[None, None])[0, 0], preset(clips))


def test_flow():
    """Flow is in pixels of the final size. It is not resized, so its values need no scaling."""
    preset = FLOW.transforms()
    flow = torch.randn(4, 2, 128, 171)
    mean, std = (torch.tensor(values)[:, None, None] for values in (preset.mean, preset.std))
    expected = (flow[..., 8:120, 29:141] - mean) / std
    assert torch.equal(preset(flow), expected.transpose(0, 1))


@pytest.mark.parametrize(
    ('weights', 'shape', 'expected'),
    [
        (RGB, (4, 2, 128, 171), r'\(4, 2, 128, 171\): use \(\.\.\., T, 3, H, W\)'),
        (FLOW, (4, 3, 128, 171), r'use \(\.\.\., T, 2, H, W\)'),
        (RGB, (3, 128, 171), r'use \(\.\.\., T, 3, H, W\)'),
        (FLOW, (4, 2, 100, 171), 'use frames of at least 112 x 112'),
    ],
)
def test_other_shapes(weights, shape, expected):
    with pytest.raises(InputError, match=expected):
        weights.transforms()(torch.zeros(shape))


def test_it_is_an_ordinary_module(clips):
    preset = find_weights('r2plus1d_18', 'torchvision_kinetics_16f').transforms()
    assert isinstance(preset, VideoClassification)
    assert 'resize_size=(128, 171)' in repr(preset)
    small = VideoClassification((0.0,) * 3, (1.0,) * 3, crop_size=(8, 6))
    assert torch.equal(small(clips[0]), clips[0, ..., 116:124, 157:163].float().transpose(0, 1))


def test_the_shorter_side():
    """The aspect ratio is kept, whichever side is shorter."""
    transform = VideoClassification([0], [1], 8, (8, 6))
    assert transform(torch.zeros(2, 1, 16, 20)).shape == (1, 2, 8, 6)
    wide = torch.arange(20.0).expand(1, 1, 4, 20)
    assert torch.equal(VideoClassification([0], [1], 4, (4, 20))(wide), wide)
    with pytest.raises(InputError, match='frames of at least 8 x 50'):
        VideoClassification([0], [1], 8, (8, 50))(wide)

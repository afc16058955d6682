"""Preprocessing of clips for the public weights, in PyTorch alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._errors import InputError

__all__ = ['VideoClassification']


class VideoClassification(nn.Module):
    """Resize, centre-crop and normalise clips; named after torchvision's preset.

    ``mean`` and ``std``, of each channel, are in the unit of the input; sizes are height and width.
    Frames are resized, unless ``resize_size`` is None, bilinearly without antialiasing, as OpenCV
    does. The aspect ratio is kept where ``resize_size`` is a number, that of the shorter side.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        resize_size: tuple[int, int] | int | None = None,
        crop_size: tuple[int, int] = (112, 112),
    ) -> None:
        super().__init__()
        self.mean, self.std = list(mean), list(std)
        self.resize_size, self.crop_size = resize_size, crop_size

    def forward(self, clips: Tensor) -> Tensor:
        """Preprocess clips, ``(..., T, C, H, W)``: RGB in 0 to 255, or flow in pixels.

        Returns float32, ``(..., C, T, H', W')``, H' x W' being ``crop_size``. Raises InputError if
        the clips have other channels, or are smaller than the crop.
        """
        shape, channels = tuple(clips.shape), len(self.mean)
        if len(shape) < 4 or shape[-3] != channels:
            raise InputError(f'clips of shape {shape}: use (..., T, {channels}, H, W)')
        frames = clips.flatten(0, -4).float()
        size = self.resize_size
        if isinstance(size, int):
            scale = size / min(shape[-2:])
            size = round(shape[-2] * scale), round(shape[-1] * scale)
        if size is not None:
            frames = F.interpolate(frames, size, mode='bilinear')
        height, width = self.crop_size
        top, left = (frames.shape[-2] - height) // 2, (frames.shape[-1] - width) // 2
        if top < 0 or left < 0:
            raise InputError(f'clips of shape {shape}: use frames of at least {height} x {width}')
        frames = frames[..., top : top + height, left : left + width]
        mean, std = torch.tensor([self.mean, self.std], device=clips.device)[..., None, None]
        normalised: Tensor = ((frames - mean) / std).unflatten(0, shape[:-3])
        return normalised.transpose(-4, -3)

    def extra_repr(self) -> str:
        """Its arguments."""
        names = ('mean', 'std', 'resize_size', 'crop_size')
        return ', '.join(f'{name}={getattr(self, name)}' for name in names)

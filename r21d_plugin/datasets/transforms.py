"""Transforms of frames that MMAction2 lacks: a random shift, and gray."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from .._errors import check_whole
from .._registries import TRANSFORMS


@TRANSFORMS.register_module()
class RandomShift(BaseTransform):
    """Shift the frames of a video, all alike, by at most ``padding`` pixels each way.

    Required and changed key: ``imgs`` (list of H x W x C uint8 arrays). Added key: ``img_shift``,
    pixels to the bottom and to the right.

    Args:
        padding (int): The largest shift.
        fill (float or Sequence[float]): Value of the pixels from outside, or one for each channel,
            0 to 255. Defaults to 0.
    """

    def __init__(self, padding: int, fill: float | Sequence[float] = 0) -> None:
        check_whole('padding', padding)
        self.padding, self.fill = padding, np.round(fill).astype(np.uint8)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Shift the frames."""
        down, right = np.random.randint(-self.padding, self.padding + 1, 2)
        imgs = [self._shift(img, down, right) for img in results['imgs']]
        return dict(results, imgs=imgs, img_shift=(int(down), int(right)))

    def _shift(self, img: np.ndarray, *pixels: int) -> np.ndarray:
        img = np.roll(img, pixels, (0, 1))
        for axis, number in enumerate(pixels):
            lines = img.swapaxes(0, axis)
            lines[slice(number) if number >= 0 else slice(number, None)] = self.fill
        return img


@TRANSFORMS.register_module()
class ToGray(BaseTransform):
    """Convert frames to one channel, brightness, for a network with ``in_channels=1``.

    Required and changed key: ``imgs`` (list of H x W x 3 uint8 arrays, RGB), then H x W x 1. It is
    the last step before FormatShape.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Convert the frames."""
        imgs = [cv2.cvtColor(img, cv2.COLOR_RGB2GRAY)[..., None] for img in results['imgs']]
        return dict(results, imgs=imgs)

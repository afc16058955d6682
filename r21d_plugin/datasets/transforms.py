"""Transforms of frames that MMAction2 lacks: random shift, conversion to gray, and crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from .._errors import InputError, check_whole
from .._registries import TRANSFORMS


@TRANSFORMS.register_module()
class RandomShift(BaseTransform):
    """Shift all frames of a video by the same random offset, up to ``padding`` pixels each way.

    Required and modified key: ``imgs`` (list of H x W x C uint8 arrays). Added key: ``img_shift``,
    the offset in pixels, downwards and to the right.

    Args:
        padding (int): The largest shift.
        fill (float or Sequence[float]): Value of uncovered pixels, or one value for each channel, 0
            to 255. Defaults to 0.
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
    """Convert frames to one channel (brightness), for a network with ``in_channels=1``.

    Required and modified key: ``imgs`` (list of H x W x 3 uint8 arrays, RGB; then H x W x 1). Use
    this transform directly before FormatShape.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Convert the frames."""
        imgs = [cv2.cvtColor(img, cv2.COLOR_RGB2GRAY)[..., None] for img in results['imgs']]
        return dict(results, imgs=imgs)


@TRANSFORMS.register_module()
class FixedCrops(BaseTransform):
    """Take the centre crop of frames, or ten crops, as torchvision and I3D's tools do.

    The centre crop begins at ``round((size - crop) / 2)``, rounded half to even, as in torchvision.
    A crop of 112 from 171 columns begins at column 30; MMAction2's ``CenterCrop`` begins at 29. The
    ten crops are top left, top right, centre, bottom left, bottom right, then the same crops of
    mirrored frames. MMAction2's ``TenCrop`` does not reach the right and lower edges.

    Required and modified keys: ``imgs``, ordered by crop and then by frame, and ``img_shape``.

    Args:
        size (int): Height and width of a crop. Defaults to 112.
        count (int): Number of crops, 1 or 10. Defaults to 1.
    """

    def __init__(self, size: int = 112, count: int = 1) -> None:
        check_whole('size', size)
        if count not in (1, 10):
            raise InputError(f'count={count!r}: use 1 or 10')
        self.size, self.count = size, count

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop the frames; raise an InputError if they are smaller than the crop."""
        imgs, size = results['imgs'], self.size
        bottom, right = (side - size for side in imgs[0].shape[:2])
        if min(bottom, right) < 0:
            raise InputError(f'size={size}: the frames have {imgs[0].shape[:2]} pixels')
        middle = (round(bottom / 2), round(right / 2))
        corners = [middle]
        views = [imgs]
        if self.count == 10:
            corners = [(0, 0), (0, right), middle, (bottom, 0), (bottom, right)]
            views.append([np.flip(img, 1) for img in imgs])
        crops = [
            np.ascontiguousarray(img[top : top + size, left : left + size])
            for view in views
            for top, left in corners
            for img in view
        ]
        return dict(results, imgs=crops, img_shape=(size, size))

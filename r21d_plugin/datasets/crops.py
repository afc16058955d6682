"""Crops of frames where torchvision's scripts and I3D's ten-crop tools take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from .._errors import InputError, check_whole
from .._registries import TRANSFORMS


@TRANSFORMS.register_module()
class FixedCrops(BaseTransform):
    """Crop the centre of frames, or ten crops: corners and centre, and their mirror images.

    The centre begins at ``round((size - crop) / 2)``, half to even, as in torchvision: of 171
    columns a crop of 112 begins at 30, where MMAction2's ``CenterCrop`` begins at 29. The ten crops
    are top left, top right, centre, bottom left, bottom right, then the same of mirrored frames;
    those of MMAction2's ``TenCrop`` do not reach the right and lower edge.

    Required and changed keys: ``imgs``, with all frames of the first crop first, and ``img_shape``.

    Args:
        size (int): Height and width of a crop. Defaults to 112.
        count (int): 1 or 10 crops. Defaults to 1.
    """

    def __init__(self, size: int = 112, count: int = 1) -> None:
        check_whole('size', size)
        if count not in (1, 10):
            raise InputError(f'count={count!r}: use 1 or 10')
        self.size, self.count = size, count

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop; an InputError if the frames are smaller."""
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

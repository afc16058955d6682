"""A pipeline that reports crops larger than the frames, and flow that is mirrored."""

from __future__ import annotations

from typing import Any, Sequence

from mmaction.datasets.transforms import CenterCrop, Flip, RandomCrop, Resize, TenCrop, ThreeCrop
from mmengine.dataset import Compose

from .._errors import InputError
from .checks import shorter_side
from .decoding import ReadFrames
from .flow import FarnebackFlow

Size = Sequence[float]  # width and height, or -1 and the shorter side


class CheckedPipeline(Compose):
    """MMEngine's Compose that raises an InputError if a crop does not fit into the frames.

    In this case MMAction2's RandomCrop and ThreeCrop fail without a message, and its CenterCrop
    returns another size. The pipeline is built from configs or transforms. A crop is checked for
    each sample, and already at construction if the scale of the frames is known.

    MMAction2's Flip after FarnebackFlow is an InputError, because it mirrors another form of flow.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        super().__init__(transforms)
        check_order(self.transforms)
        size: Size | None = None
        for transform in self.transforms:
            if size:
                check_crop(transform, size)
            size = size_after(transform, size)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Run the transforms in order; return None as soon as one returns None."""
        for transform in self.transforms:
            if shape := data.get('img_shape'):
                check_crop(transform, shape[::-1], data.get('filename'))
            data = transform(data)
            if data is None:
                return None
        return data


def check_order(transforms: Sequence[Any]) -> None:
    """Raise an InputError if a Flip comes after FarnebackFlow."""
    flow = False
    for transform in transforms:
        if flow and isinstance(transform, Flip):
            raise InputError('Flip after FarnebackFlow: mirror the frames, before their flow')
        flow |= isinstance(transform, FarnebackFlow)


def crop_of(transform: Any) -> tuple[str, tuple[int, int]] | None:
    """Return the argument name and value (width, height) of a crop; None for other transforms."""
    if isinstance(transform, (CenterCrop, ThreeCrop, TenCrop)):
        return 'crop_size', transform.crop_size
    if type(transform) is RandomCrop:  # crop sizes of its subclasses depend on the frames
        return 'size', (transform.size, transform.size)
    return None


def check_crop(transform: Any, size: Size, filename: str | None = None) -> None:
    """Raise an InputError if a transform is a crop that is larger than frames of this size."""
    if (crop := crop_of(transform)) is None:
        return
    key, (width, height) = crop
    short = shorter_side(size)
    if short:
        fits, frames = min(width, height) <= short, f'with a shorter side of {short}'
    else:
        fits, frames = width <= size[0] and height <= size[1], f'of {size[0]}x{size[1]}'
    where = f'{filename}: ' if filename else ''
    what = f'{where}{type(transform).__name__} with {key}={width}x{height} of frames {frames}'
    if not fits or min(width, height) < 1:
        raise InputError(f'{what}: lower {key}, or raise the scale of the frames')
    if isinstance(transform, ThreeCrop) and not short and width != size[0] and height != size[1]:
        raise InputError(f'{what}: ThreeCrop needs a side of the frames, such as {min(size)}')


def size_after(transform: Any, size: Size | None) -> Size | None:
    """Return the size of frames after a transform; None if it is unknown."""
    if crop := crop_of(transform):
        return crop[1]
    if isinstance(transform, ReadFrames):
        return transform.scale
    if isinstance(transform, Resize):
        if not isinstance(transform.scale, tuple):  # the scale is a factor
            return None
        return (-1, min(transform.scale)) if transform.keep_ratio else transform.scale
    return size if isinstance(transform, Flip) else None

"""Clips of stored flow, cut out and mirrored as their frames would be."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from .._errors import InputError
from .._registries import TRANSFORMS
from .flow import ClipFlow, mirror
from .flow_store import FlowReader, find_flow, open_flow


@TRANSFORMS.register_module()
class OpenStoredFlow(BaseTransform):
    """Open the stored flow of a video.

    In place of ``DecordClipInit``, the video is not opened and need not exist;
    after it, its length is compared with that of the flow.

    Required keys: ``filename``. Added keys: ``flow_reader`` and, without the
    video, ``total_frames``, ``img_shape`` and ``original_shape``.

    Args:
        root (str): Folder that ``tools/data/extract_flow.py`` wrote to, or of
            ``flow_x_00001.jpg`` folders (see
            :class:`~r21d_plugin.datasets.flow_store.FlowFolder`).
        scale (tuple[int, int]): Width and height of the flow, those that
            frames are decoded to. Defaults to (171, 128).
        bound (float): Displacement in pixels that the largest gray value of a
            JPEG stands for. Defaults to 20.
    """

    def __init__(self, root: str, scale: tuple[int, int] = (171, 128), bound: float = 20.0) -> None:
        self.root = Path(root)
        self.scale = (scale[0], scale[1])
        self.bound = bound
        if not self.root.is_dir():
            raise InputError(f'{root}: no such folder of stored flow')

    def check_videos(self, filenames: Sequence[str]) -> None:
        """Check that there is flow of every video of a dataset, and whether the first fits.

        Raises:
            InputError: If there is none of some, or the first is not as needed.
        """
        missing = [name for name in filenames if find_flow(self.root, Path(name)) is None]
        if missing:
            raise InputError(
                f'{self.root}: no flow of {len(missing)} of {len(filenames)} videos '
                f'({missing[0]}, ...): extract it with tools/data/extract_flow.py'
            )
        for name in filenames[:1]:
            open_flow(self.root, Path(name), self.scale, self.bound)

    def transform(self, results: dict) -> dict:
        """Open the flow of ``filename``.

        Raises:
            InputError: If there is none, or of another video.
        """
        flow = open_flow(self.root, Path(results['filename']), self.scale, self.bound)
        frames = results.setdefault('total_frames', flow.frames)
        if frames != flow.frames:
            raise InputError(
                f'{results["filename"]}: {frames} frames, but flow of {flow.frames} is stored in '
                f'{self.root}: extract it again'
            )
        for key in ('img_shape', 'original_shape'):
            results.setdefault(key, flow.size[::-1])
        results['flow_reader'] = flow
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(root='{self.root}', scale={self.scale}, bound={self.bound})"


@TRANSFORMS.register_module()
class StoredFlow(ClipFlow):
    """Flow of clips from what :class:`OpenStoredFlow` opened.

    In the place of ``FarnebackFlow``: after one crop at most and a flip at
    most, in that order, which it repeats on the flow. The frames need not be
    decoded. See :class:`ClipFlow` for the arguments. Stored flow is that of
    whole frames: within some 16 pixels of the edge of a crop it differs from
    what ``FarnebackFlow`` computes from the crop alone.
    """

    def sources(self, results: dict) -> list[Callable[[int, int], np.ndarray]]:
        """The stored fields, each read once."""
        flow: FlowReader = results.pop('flow_reader')
        left, top, right, bottom = results.get('crop_bbox', (0, 0, *flow.size))
        direction = results.get('flip') and results['flip_direction']

        @cache
        def field(first: int, second: int) -> np.ndarray:
            if second <= first:
                return np.zeros((bottom - top, right - left, 2), np.float32)
            if second != first + 1:
                raise InputError(
                    f'flow from frame {first} to {second} is not stored, only to the next frame: '
                    'use merge=True with a gap, and frame_interval=1'
                )
            part = flow.read(first)[top:bottom, left:right]
            return mirror(part, direction) if direction else part

        return [field]

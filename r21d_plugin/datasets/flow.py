"""Optical flow of clips, as the authors compute it.

Section 4.2 uses Farneback's method "because of its efficiency"; its parameters are those of the
authors' release, https://github.com/facebookresearch/VMZ. Flow is measured in pixels: channel 0 is
the displacement to the right, channel 1 downwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from torch.utils.data import get_worker_info

from .._compat import pairwise
from .._errors import InputError, VideoInputError
from .._registries import TRANSFORMS
from .flow_store import find_flow

FlowOfFrames = Callable[[int, int], np.ndarray]  # H x W x 2 float32 by the numbers of two frames

farneback = partial(
    cv2.calcOpticalFlowFarneback,
    flow=None,
    pyr_scale=math.sqrt(2) / 2,
    levels=5,
    winsize=10,
    iterations=2,
    poly_n=7,
    poly_sigma=1.5,
    flags=cv2.OPTFLOW_FARNEBACK_GAUSSIAN,
)
"""``cv2.calcOpticalFlowFarneback`` from one grayscale frame to the next, as the authors call it."""


@TRANSFORMS.register_module()
class FarnebackFlow(BaseTransform):
    """Optical flow of clips, by Farneback's method or from stored fields.

    It stands after crop and flip, behind a ``SampleFramesOfClips`` with ``flow_gap=1``: L + 1
    frames of a clip have L fields. A field that several clips contain is computed once. Where a
    short video starts over (loops), or a slow one repeats a frame (``target_fps``), the field is
    zero.

    Required keys: ``imgs`` (a list of H x W x 3 uint8 arrays, RGB, one for each of ``frame_inds``
    and each crop; not with ``root``), ``clip_len`` (L + 1) and ``frame_inds``. Modified keys:
    ``imgs``, ``clip_len`` (L) and, where flow replaces the frames, ``modality``.

    Args:
        key (str): Where to put the fields, M x H x W x 2 float32: in place of the frames
            (``'imgs'``), or beside the L frames of each clip's RGB. Defaults to ``'imgs'``.
        root (str, optional): Folder that ``tools/data/extract_flow.py`` wrote, to read the fields
            from, after at most one crop and then one flip. They are of whole frames, so they differ
            near the edges of a crop (some 16 pixels). Defaults to None: they are computed.
    """

    def __init__(self, key: str = 'imgs', root: str | None = None) -> None:
        if root is not None and not Path(root).is_dir():
            raise InputError(f'root={root!r}: no such folder of stored flow')
        self.key, self.root = key, root

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace frames by flow, or add it; an InputError if there is none for this video."""
        if 'decoded_shape' in results and 'rgb_offsets' not in results:
            sampler = 'r21d_plugin.SampleFramesOfClips with flow_gap=1'
            raise InputError(
                f'L fields of flow need clips of L + 1 frames: sample them by {sampler}'
            )
        imgs = results.get('imgs', [])
        frame_inds = results.setdefault('frame_inds', np.arange(len(imgs)))
        count = len(frame_inds)
        if results.get('total_frames', len(np.unique(frame_inds))) < 2:
            reason = '1 frame(s), and flow needs 2: drop it from the annotations'
            raise VideoInputError(f'{results.get("filename", "clip")}: {reason}')
        if self.root is None:
            if get_worker_info() is not None and cv2.getNumThreads() > 1:
                cv2.setNumThreads(0)  # the workers fill the cores already
            firsts = range(0, len(imgs), count)
            crops = [farneback_flow(imgs[i : i + count], results) for i in firsts]
        else:
            crops = [stored_flow(results, self.root)]
        clips = np.reshape(frame_inds, (-1, results['clip_len'])).tolist()
        fields = [flow(*pair) for flow in crops for clip in clips for pair in pairwise(clip)]
        if self.key == 'imgs':
            results['modality'] = 'Flow'
        else:  # of each clip's frames, those that a test of the RGB stream alone would take
            length, offsets = results['clip_len'], results['rgb_offsets']
            starts = [i + offsets[i // length % len(offsets)] for i in range(0, len(imgs), length)]
            results['imgs'] = [imgs[start + t] for start in starts for t in range(length - 1)]
        results[self.key] = np.stack(fields)
        results['clip_len'] -= 1
        return results


def farneback_flow(imgs: Sequence[np.ndarray], results: dict[str, Any]) -> FlowOfFrames:
    """Flow of the frames of one crop by Farneback's method, each pair of frames once."""
    # Frames that clips share were decoded, cropped and flipped alike.
    frames = dict(zip(np.ravel(results['frame_inds']).tolist(), imgs))

    @lru_cache(maxsize=None)
    def gray(frame: int) -> np.ndarray:
        image: np.ndarray = cv2.cvtColor(frames[frame], cv2.COLOR_RGB2GRAY)
        return image

    @lru_cache(maxsize=None)
    def flow(first: int, second: int) -> np.ndarray:
        before, after = gray(first), gray(second)
        if before.shape != after.shape:
            name = f'{results.get("filename", "clip")}: frames {first} and {second}'
            sizes = f'{before.shape} and {after.shape} pixels'
            raise InputError(f'{name} are of {sizes}: resize frames before their flow is computed')
        if second <= first:
            return np.zeros((*before.shape, 2), np.float32)
        field: np.ndarray = farneback(before, after)
        return field

    return flow


def stored_flow(results: dict[str, Any], root: str) -> FlowOfFrames:
    """Stored fields of a video, cut out and mirrored as its frames were, each read once."""
    if 'filename' not in results:
        raise InputError(f'root={root!r}: stored flow is of videos, and these frames are of none')
    stored = find_flow(Path(root), Path(results['filename']))
    if results['total_frames'] != stored.frames:
        counts = f'{stored.frames} frames, not {results["total_frames"]}'
        raise InputError(f'{stored.path}: flow of {counts}: extract it again')
    width, height = stored.size
    if results.get('decoded_shape') != (height, width):
        size = f'flow of {width}x{height} pixels, which has to be the scale of ReadFrames'
        raise InputError(f'{stored.path}: {size}: extract it again with that --scale')
    left, top, right, bottom = crop_box(results, stored.size)
    direction = results.get('flip') and results['flip_direction']

    @lru_cache(maxsize=None)
    def flow(first: int, second: int) -> np.ndarray:
        if second <= first:
            return np.zeros((bottom - top, right - left, 2), np.float32)
        if second != first + 1:
            pair = f'flow from frame {first} to {second}'
            steps = 'frame_interval and target_fps'
            raise InputError(f'{pair} is not stored, only to the next frame: drop {steps}')
        field = stored.read(first)[top:bottom, left:right]
        return mirror(field, direction) if direction else field

    return flow


def crop_box(results: dict[str, Any], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the one crop; an InputError if frames had other steps."""
    box = results.get('crop_bbox', (0, 0, *size))
    keys = list(results)  # in the order in which transforms have added them
    flipped_first = 'crop_bbox' in keys and 'flip' in keys[: keys.index('crop_bbox')]
    if np.ndim(box) == 1 and not flipped_first and 'img_shift' not in results:
        left, top, right, bottom = map(int, box)
        part = np.array([left, top, right - left, bottom - top]) / (*size, *size)
        once = np.allclose(part, results.get('crop_quadruple', part), atol=1e-4)
        if once and tuple(results['img_shape']) == (bottom - top, right - left):
            return left, top, right, bottom
    raise InputError('FarnebackFlow with root can follow one crop and then one flip at most')


def mirror(flow: np.ndarray, direction: str = 'horizontal') -> np.ndarray:
    """Flow (... x H x W x 2) of the mirrored frames, ``'horizontal'`` or ``'vertical'``."""
    axis, across = (-2, 0) if direction == 'horizontal' else (-3, 1)
    mirrored = np.flip(flow, axis).copy()
    mirrored[..., across] *= -1  # displacements across the mirror change their sign
    return mirrored

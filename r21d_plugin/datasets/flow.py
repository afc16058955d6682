"""Optical flow of clips, as the authors compute it.

Section 4.2 uses Farneback's method "because of its efficiency"; its parameters are those of the
authors' release, https://github.com/facebookresearch/VMZ. Flow is measured in pixels: channel 0 is
the displacement to the right, channel 1 downwards.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from torch.utils.data import get_worker_info

from .._errors import InputError
from .._registries import TRANSFORMS
from .flow_store import find_flow

FlowOfFrames = Callable[[int, int], np.ndarray]
"""Function from the numbers of two frames to the flow between them, H x W x 2 float32."""

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

    It stands after crop and flip, behind a ``SampleClips`` with ``flow_gap=1``: its clips of L + 1
    frames have L flow fields, field t from frame t to frame t + 1. A field that several clips
    contain is computed once. Where a short video starts over (loops), the field is zero.

    Required keys: ``imgs`` (a list of H x W x 3 uint8 arrays, RGB, one for each of ``frame_inds``
    and each crop; not with ``root``), ``clip_len`` (L + 1) and ``frame_inds``. Modified keys:
    ``imgs``, ``clip_len`` (L) and, where flow replaces the frames, ``modality``.

    Args:
        key (str): Where to put the fields, M x H x W x 2 float32, neither clipped nor quantised: in
            place of the frames (``'imgs'``), or beside them, then reduced to the L frames of each
            clip's RGB. Defaults to ``'imgs'``.
        root (str, optional): Folder that ``tools/data/extract_flow.py`` wrote to, from which the
            fields are read. They were computed on whole frames: within some 16 pixels of the edge
            of a crop they differ from those of the crop alone. It may follow one crop and one flip,
            in that order. Defaults to None: they are computed.
    """

    def __init__(self, key: str = 'imgs', root: str | None = None) -> None:
        if root is not None and not Path(root).is_dir():
            raise InputError(f'root={root!r}: no such folder of stored flow')
        self.key = key
        self.root = root

    def transform(self, results: dict) -> dict:
        """Replace frames by flow, or add flow to them.

        Raises:
            InputError: If the video has a single frame, its frames differ in size, or no flow of it
                is stored.
        """
        if 'frame_inds' not in results:
            results['frame_inds'] = np.arange(len(results['imgs']))
        if len(np.unique(results['frame_inds'])) < 2:
            raise InputError(
                f'{results.get("filename", "clip")}: 1 frame(s), and flow needs 2: drop it from '
                'the annotation file'
            )
        clips = np.reshape(results['frame_inds'], (-1, results['clip_len']))
        crops = farneback_flows(results) if self.root is None else [stored_flow(results, self.root)]
        fields = [
            flow(*pair) for flow in crops for clip in clips.tolist() for pair in pairwise(clip)
        ]
        if self.key == 'imgs':
            results['modality'] = 'Flow'
        else:
            results['imgs'] = rgb_frames(results)
        results[self.key] = np.stack(fields)
        results['clip_len'] -= 1
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(key={self.key!r}, root={self.root!r})'


def rgb_frames(results: dict) -> list[np.ndarray]:
    """Of each clip's frames, those that a test of the RGB stream alone would take."""
    imgs, count, offsets = results['imgs'], results['clip_len'], results['rgb_offsets']
    starts = [i * count + offsets[i % len(offsets)] for i in range(len(imgs) // count)]
    return [image for start in starts for image in imgs[start : start + count - 1]]


def farneback_flows(results: dict) -> list[FlowOfFrames]:
    """Flow of each crop by Farneback's method, each pair of frames once.

    In a dataloader worker OpenCV is kept from starting threads of its own.
    """
    if get_worker_info() is not None and cv2.getNumThreads() > 1:
        cv2.setNumThreads(0)
    filename, count = results.get('filename', 'clip'), len(results['frame_inds'])
    # Frames that clips share were decoded, cropped and flipped alike.
    position = {int(frame): i for i, frame in enumerate(results['frame_inds'])}
    return [
        farneback_flow(results['imgs'][start : start + count], position, filename)
        for start in range(0, len(results['imgs']), count)
    ]


def farneback_flow(
    imgs: Sequence[np.ndarray], position: dict[int, int], filename: str
) -> FlowOfFrames:
    """Flow of one crop, whose frames are at ``position`` in ``imgs`` by their numbers."""

    @cache
    def gray(frame: int) -> np.ndarray:
        return cv2.cvtColor(imgs[position[frame]], cv2.COLOR_RGB2GRAY)

    @cache
    def flow(first: int, second: int) -> np.ndarray:
        before, after = gray(first), gray(second)
        if before.shape != after.shape:
            raise InputError(
                f'{filename}: frames {first} and {second} are of {before.shape} and {after.shape} '
                'pixels: resize the frames before their flow is computed'
            )
        if second <= first:
            return np.zeros((*before.shape, 2), np.float32)
        return farneback(before, after)

    return flow


def stored_flow(results: dict, root: str) -> FlowOfFrames:
    """Stored fields of a video, cut out and mirrored as its frames were, each read once.

    Raises:
        InputError: If there are none, or they are those of another video or size, or the steps
            before were others than one crop and then one flip at most.
    """
    video = results['filename']
    stored = find_flow(Path(root), Path(video))
    if results['total_frames'] != stored.frames:
        raise InputError(
            f'{video}: {results["total_frames"]} frames, but flow of {stored.frames} is stored in '
            f'{root}: extract it again'
        )
    width, height = stored.size
    if results.get('decoded_shape') != (height, width):
        raise InputError(
            f'{stored.path}: flow of {width}x{height} pixels, which has to be the scale of the '
            "pipeline's DecordClipDecode: extract it again with that --scale"
        )
    left, top, right, bottom = crop_box(results, stored.size)
    direction = results.get('flip') and results['flip_direction']

    @cache
    def flow(first: int, second: int) -> np.ndarray:
        if second <= first:
            return np.zeros((bottom - top, right - left, 2), np.float32)
        if second != first + 1:
            raise InputError(
                f'flow from frame {first} to {second} is not stored, only to the next frame: '
                'use frame_interval=1'
            )
        field = stored.read(first)[top:bottom, left:right]
        return mirror(field, direction) if direction else field

    return flow


def crop_box(results: dict, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the one crop that the frames have had.

    Raises:
        InputError: If there were several, or the frames were mirrored or resized as well.
    """
    box = results.get('crop_bbox', (0, 0, *size))
    keys = list(results)  # in the order in which transforms have added them
    flipped_first = 'crop_bbox' in keys and 'flip' in keys[: keys.index('crop_bbox')]
    if np.ndim(box) == 1 and not flipped_first:
        left, top, right, bottom = map(int, box)
        part = np.array([left, top, right - left, bottom - top]) / (*size, *size)
        once = np.allclose(part, results.get('crop_quadruple', part), atol=1e-4)
        if once and tuple(results['img_shape']) == (bottom - top, right - left):
            return left, top, right, bottom
    raise InputError(
        'FarnebackFlow with root: stored flow can follow one crop and then one flip at most: '
        'change the pipeline, or leave root out'
    )


def mirror(flow: np.ndarray, direction: str = 'horizontal') -> np.ndarray:
    """Flow of the mirrored frames: both channels mirrored, the one across negated.

    Args:
        flow (ndarray): ... x H x W x 2.
        direction (str): ``'horizontal'`` or ``'vertical'``. Defaults to ``'horizontal'``.
    """
    horizontal = direction == 'horizontal'
    mirrored = np.flip(flow, axis=-2 if horizontal else -3).copy()
    mirrored[..., 0 if horizontal else 1] *= -1
    return mirrored

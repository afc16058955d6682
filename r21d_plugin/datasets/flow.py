"""Optical flow of clips, as the authors compute it.

Section 4.2 uses Farneback's method "because of its efficiency"; its parameters
and the statistics are those of the authors' release,
https://github.com/facebookresearch/VMZ. Flow is measured in pixels: channel 0
is the displacement to the right, channel 1 downwards.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial, reduce
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
"""Function from the numbers of two frames to the flow between them, H x W x 2, in pixels."""

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

FLOW_MEAN = [0.0046635, 0.0046261, 0.963986]
"""Mean of flow over Kinetics: right, down, magnitude channel."""

FLOW_STD = [0.972347, 0.755146, 1.43588]
"""Standard deviation, of the same."""


@TRANSFORMS.register_module()
class FarnebackFlow(BaseTransform):
    """Optical flow of clips, by Farneback's method or from stored fields.

    It stands after crop and flip, behind a ``SampleClips`` with the same ``flow_gap``: its clips
    of L + gap frames have L flow fields, field t from frame t to frame t + gap. No field crosses
    the boundary of a clip, and one that several clips contain is computed once. Where a short
    video starts over (loops), nothing moves: that field is zero.

    Required keys: ``imgs`` (a list of H x W x 3 uint8 arrays, RGB, one for each of
    ``frame_inds`` and each crop; not with ``root``), ``clip_len`` (L + gap) and ``frame_inds``,
    without which no two frames are taken for the same. Modified keys: ``imgs``, ``clip_len`` (L)
    and, where flow replaces the frames, ``modality``.

    Args:
        gap (int): Frames from the first to the second frame of a field. Defaults to 1.
        merge (bool): Whether a field over a gap adds up, along the path of each pixel, the fields
            between the consecutive frames in it, instead of comparing its two frames. Defaults to
            False.
        magnitude (bool): Whether to add a third channel, ``|u| + |v|`` of the normalised flow
            (see :data:`FLOW_MEAN`). Defaults to False.
        key (str): Where to put the fields, M x H x W x 2 float32, neither clipped nor quantised:
            in place of the frames (``'imgs'``), or beside them, then reduced to the L frames of
            each clip's RGB. Defaults to ``'imgs'``.
        root (str, optional): Folder that ``tools/data/extract_flow.py`` wrote to, from which the
            fields are read. They were computed on whole frames: within some 16 pixels of the edge
            of a crop they differ from those of the crop alone. It may follow one crop and one
            flip, in that order. Defaults to None: they are computed.
    """

    def __init__(
        self,
        gap: int = 1,
        merge: bool = False,
        magnitude: bool = False,
        key: str = 'imgs',
        root: str | None = None,
    ) -> None:
        if gap < 1:
            raise InputError(f'gap={gap!r}: flow leads from a frame to a later one, at least 1')
        if root is not None and not Path(root).is_dir():
            raise InputError(f'root={root!r}: no such folder of stored flow')
        self.gap = gap
        self.merge = merge
        self.magnitude = magnitude
        self.key = key
        self.root = root

    def transform(self, results: dict) -> dict:
        """Replace frames by flow, or add flow to them.

        Raises:
            InputError: If the video is too short for flow, its frames differ in size, or no flow
                of it is stored.
        """
        if 'frame_inds' not in results:
            results['frame_inds'] = np.arange(len(results['imgs']))
        frames = len(np.unique(results['frame_inds']))
        if frames <= self.gap:
            raise InputError(
                f'{results.get("filename", "clip")}: {frames} frame(s), and flow needs '
                f'{self.gap + 1}: drop it from the annotation file'
            )
        clips = np.reshape(results['frame_inds'], (-1, results['clip_len']))
        clip_len = results['clip_len'] - self.gap
        sources = (
            farneback_flows(results) if self.root is None else [stored_flow(results, self.root)]
        )
        fields = [
            self._field(flow, clip[t : t + self.gap + 1].tolist())
            for flow in sources
            for clip in clips
            for t in range(clip_len)
        ]
        flow = np.stack(fields)
        if self.magnitude:
            flow = np.concatenate([flow, magnitude(flow)], axis=-1)
        if self.key == 'imgs':
            results['modality'] = 'Flow'
        else:
            results['imgs'] = rgb_frames(results, clip_len)
        results[self.key] = flow
        results['clip_len'] = clip_len
        return results

    def _field(self, flow: FlowOfFrames, frames: list[int]) -> np.ndarray:
        pairs = pairwise(frames) if self.merge else [(frames[0], frames[-1])]
        return reduce(follow, (flow(first, second) for first, second in pairs))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(gap={self.gap}, merge={self.merge}, '
            f'magnitude={self.magnitude}, key={self.key!r}, root={self.root!r})'
        )


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
                'use merge=True with a gap, and frame_interval=1'
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


def farneback_flow(
    imgs: Sequence[np.ndarray], position: dict[int, int], filename: str
) -> FlowOfFrames:
    """Function from two frame numbers to their flow.

    Args:
        imgs (Sequence[ndarray]): Frames of one size, H x W x 3 uint8, RGB.
        position (dict[int, int]): Where each frame number is among them.
        filename (str): The video, for messages.
    """

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


def follow(flow: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Join the flow from frame a to b and that from b to c to that from a to c.

    Each pixel's displacement, rounded and clamped to the image, leads to where
    the rest of its path is found.

    Args:
        flow (ndarray): H x W x 2, from a to b.
        then (ndarray): H x W x 2, from b to c.

    Returns:
        ndarray: H x W x 2.
    """
    height, width = flow.shape[:2]
    rows, columns = np.indices((height, width), np.float32)
    x = np.rint(columns + flow[..., 0]).clip(0, width - 1).astype(np.intp)
    y = np.rint(rows + flow[..., 1]).clip(0, height - 1).astype(np.intp)
    return flow + then[y, x]


def magnitude(flow: np.ndarray) -> np.ndarray:
    """``|u| + |v|`` of normalised flow: ... x 2 to ... x 1."""
    mean, std = (np.array(values[:2], np.float32) for values in (FLOW_MEAN, FLOW_STD))
    normalised = (flow - mean) / std
    return np.abs(normalised).sum(axis=-1, keepdims=True)


def mirror(flow: np.ndarray, direction: str = 'horizontal') -> np.ndarray:
    """Flow of the mirrored frames: both channels mirrored, the one across negated.

    Args:
        flow (ndarray): ... x H x W x 2.
        direction (str): ``'horizontal'`` or ``'vertical'``, as in MMAction2's
            Flip. Defaults to ``'horizontal'``.

    Returns:
        ndarray: ... x H x W x 2.
    """
    horizontal = direction == 'horizontal'
    mirrored = np.flip(flow, axis=-2 if horizontal else -3).copy()
    mirrored[..., 0 if horizontal else 1] *= -1
    return mirrored


def rgb_frames(results: dict, clip_len: int) -> list[np.ndarray]:
    """Of each clip's frames, those that a test of the RGB stream alone would take."""
    imgs, count = results['imgs'], results['clip_len']
    offsets = results['rgb_offsets']
    starts = [i * count + offsets[i % len(offsets)] for i in range(len(imgs) // count)]
    return [image for start in starts for image in imgs[start : start + clip_len]]

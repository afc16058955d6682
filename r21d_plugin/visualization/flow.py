"""Pictures of optical flow: colour wheel and arrows beside the frames."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmcv.visualization import flow2rgb

from .._errors import InputError
from .._pictures import write_picture
from ..datasets.decoding import all_frames
from ..datasets.flow import farneback
from ..inference.video_writer import film

SPACING = 12
"""Pixels of the flow from one arrow to the next."""

GREEN = (60, 255, 60)
WHITE = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX


class FrameFlow(NamedTuple):
    """A frame and its flow to the next.

    Attributes:
        number (int): Number of the frame in the video.
        frame (ndarray): H x W x 3 uint8, RGB.
        flow (ndarray): H x W x 2 float32, in pixels.
    """

    number: int
    frame: np.ndarray
    flow: np.ndarray


def frame_flows(
    video: str, scale: tuple[int, int], start: int = 0, step: int = 1
) -> Iterator[FrameFlow]:
    """Compute the flow of a video.

    Args:
        video (str): The video.
        scale (tuple[int, int]): Width and height that frames are resized to.
        start (int): First frame. Defaults to 0.
        step (int): Frames from one to the next. Defaults to 1.

    Yields:
        FrameFlow: Every step-th frame and its flow to the very next frame.

    Raises:
        InputError: If the video does not decode, or has no flow from ``start``
            on.
    """
    before, number = None, -1
    for number, frame in enumerate(all_frames(video, scale)):
        if before is not None and number > start and (number - 1 - start) % step == 0:
            gray = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, frame))
            yield FrameFlow(number - 1, before, farneback(*gray))
        before = frame
    if number <= start:
        raise InputError(
            f'{video}: {number + 1} frame(s), and flow from frame {start} needs one more'
        )


def panels(moment: FrameFlow, longest: float, zoom: int) -> list[np.ndarray]:
    """Draw a frame, its flow in colours, and the frame with arrows.

    Args:
        moment (FrameFlow): Frame and flow.
        longest (float): Displacement in pixels that has the full colour.
        zoom (int): Size of the picture relative to the frame.

    Returns:
        list[ndarray]: Three pictures, H' x W' x 3 uint8, RGB.
    """
    colours = enlarged(in_colours(moment.flow, longest), zoom)
    frame = enlarged(moment.frame, zoom)
    arrows = frame.copy()
    stretch = SPACING / longest
    add_arrows(arrows, moment.flow * stretch, zoom)
    add_key(colours, longest)
    write(frame, f'frame {moment.number}')
    write(arrows, f'arrows x{stretch:.1f}')
    return [frame, colours, arrows]


def add_arrows(image: np.ndarray, flow: np.ndarray, zoom: int) -> None:
    """Draw a grid of arrows, H x W x 2 in pixels of the flow, over an enlarged frame."""
    height, width = flow.shape[:2]
    for y in range(SPACING // 2, height, SPACING):
        for x in range(SPACING // 2, width, SPACING):
            ends = np.array([(x, y), (x, y) + flow[y, x]]) * zoom + zoom / 2
            tail, head = np.rint(ends).astype(int).tolist()
            cv2.arrowedLine(image, tail, head, GREEN, 1, cv2.LINE_AA, tipLength=0.3)


def in_colours(flow: np.ndarray, longest: float) -> np.ndarray:
    """Flow in the colours of the Middlebury wheel: hue is direction, white is still.

    Args:
        flow (ndarray): H x W x 2.
        longest (float): Displacement in pixels that has the full colour.

    Returns:
        ndarray: H x W x 3 uint8, RGB.
    """
    length = np.linalg.norm(flow, axis=-1, keepdims=True)
    shown = flow * np.minimum(1, longest / np.maximum(length, 1e-6))
    # flow2rgb scales by the longest displacement that it sees: show it one.
    reference = np.full((1, flow.shape[1], 2), (longest, 0), np.float32)
    colours = flow2rgb(np.concatenate([shown, reference]))[:-1]
    return np.rint(255 * colours).astype(np.uint8)


def add_key(image: np.ndarray, longest: float) -> None:
    """Draw the colour wheel and the length at its rim into the corner of an image."""
    radius = max(12, min(image.shape[:2]) // 9)
    grid = np.linspace(-1, 1, 2 * radius + 1, dtype=np.float32)
    wheel = np.dstack(np.meshgrid(grid, grid))
    inside = np.linalg.norm(wheel, axis=-1) <= 1
    corner = image[4 : 5 + 2 * radius, -5 - 2 * radius : -4]
    corner[inside] = in_colours(wheel, 1.0)[inside]
    centre = (image.shape[1] - 5 - radius, 4 + radius)
    cv2.circle(image, centre, radius, (90, 90, 90), 1, cv2.LINE_AA)
    write(image, f'rim: {longest:.1f} px')


def write(image: np.ndarray, text: str) -> None:
    """Write a line at the lower left of an image, on a dark ground."""
    (width, height), below = cv2.getTextSize(text, FONT, 0.45, 1)
    bottom = image.shape[0]
    cv2.rectangle(image, (0, bottom - height - below - 6), (width + 8, bottom), (40, 40, 40), -1)
    cv2.putText(image, text, (4, bottom - below - 2), FONT, 0.45, WHITE, 1, cv2.LINE_AA)


def enlarged(image: np.ndarray, zoom: int) -> np.ndarray:
    """An image, zoom times as wide and high."""
    return cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)


def longest_displacement(shown: Sequence[FrameFlow]) -> float:
    """Displacement in pixels that 98% of the pixels stay below; at least 1."""
    lengths = [np.linalg.norm(moment.flow[::2, ::2], axis=-1) for moment in shown]
    return max(1.0, float(np.quantile(lengths, 0.98)))


def write_strip(shown: Iterable[FrameFlow], path: Path, count: int, zoom: int) -> None:
    """Write a picture of several frames: a column each, of frame, colours and arrows.

    Args:
        shown (Iterable[FrameFlow]): Frames and flow.
        path (Path): Picture to write.
        count (int): Columns, at most.
        zoom (int): Size of a picture relative to the frame.

    Raises:
        InputError: If it cannot be written.
    """
    chosen = list(islice(shown, count))
    longest = longest_displacement(chosen)
    columns = [np.concatenate(panels(moment, longest, zoom)) for moment in chosen]
    write_picture(path, cv2.cvtColor(np.concatenate(columns, axis=1), cv2.COLOR_RGB2BGR))


def write_film(
    shown: Iterable[FrameFlow], path: Path, count: int | None, zoom: int, fps: float
) -> None:
    """Write a video of frame, colours and arrows, side by side.

    Args:
        shown (Iterable[FrameFlow]): Frames and flow.
        path (Path): Video to write, .mp4 or .avi.
        count (int, optional): Frames, at most. None: all.
        zoom (int): Size of a picture relative to the frame.
        fps (float): Frames a second.

    Raises:
        InputError: If it cannot be written.
    """
    chosen = list(islice(shown, count))
    longest = longest_displacement(chosen)
    height, width = chosen[0].frame.shape[:2]
    with film(path, fps, (3 * width * zoom, height * zoom)) as write_frame:
        for moment in chosen:
            write_frame(np.concatenate(panels(moment, longest, zoom), axis=1))

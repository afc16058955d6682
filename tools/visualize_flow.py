"""Draw the optical flow of a video: frames, flow in colours, and arrows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from r21d_plugin import InputError
from r21d_plugin._atomic import atomic_write
from r21d_plugin._compat import pairwise
from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    import cv2
    import numpy as np
    from mmcv.visualization import flow2rgb

    from r21d_plugin.datasets.decoding import all_frames
    from r21d_plugin.datasets.flow import farneback
    from r21d_plugin.inference.draw import write_video

VIDEO_SUFFIXES = ('.avi', '.mp4')
ARROW_SPACING = 12  # pixels of the flow
RANGE_FRAMES = 300  # number of first frames that determine the colour range
GREEN, WHITE, DARK, GREY = (60, 255, 60), (255, 255, 255), (40, 40, 40), (90, 90, 90)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_flow(
    video: str,
    out: Path,
    scale: tuple[int, int],
    start: int,
    step: int,
    count: int | None,
    zoom: int,
    fps: float,
) -> None:
    """Draw frames of a video and their flow to the next frame, in colours and as arrows.

    ``out`` is a video (.avi, .mp4), or else an image with one column for each frame. The other
    arguments are those of the command. Raises an InputError if the video does not decode or is too
    short, or ``out`` cannot be written.
    """
    as_video = out.suffix.lower() in VIDEO_SUFFIXES
    flows = islice(frame_flows(video, scale, start, step), count if as_video else count or 6)
    first = list(islice(flows, RANGE_FRAMES))
    if not first:
        raise InputError(f'{video}: too short: flow from frame {start} needs a frame after it')
    lengths = [np.linalg.norm(flow[::2, ::2], axis=-1) for _, _, flow in first]
    longest = max(1.0, float(np.quantile(lengths, 0.98)))
    drawn = (panels(*moment, longest, zoom) for moment in chain(first, flows))
    if as_video:
        write_video(out, (np.concatenate(row, axis=1) for row in drawn), fps, parents=False)
    else:
        strip = np.concatenate([np.concatenate(column) for column in drawn], axis=1)
        with atomic_write(out) as partial:
            try:
                encoded = cv2.imencode(out.suffix, cv2.cvtColor(strip, cv2.COLOR_RGB2BGR))[1]
            except cv2.error as error:
                raise InputError(f'{out}: cannot write a picture there: {error.err}') from error
            partial.write_bytes(encoded.tobytes())  # cv2.imwrite ignores a full disk


def frame_flows(
    video: str, scale: tuple[int, int], start: int, step: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield number and RGB of every step-th frame, and its flow to the next frame in pixels."""
    pairs = enumerate(pairwise(all_frames(video, scale)))
    for number, pair in islice(pairs, start, None, step):
        gray = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in pair)
        yield number, pair[0], farneback(*gray)


def panels(
    number: int, frame: np.ndarray, flow: np.ndarray, longest: float, zoom: int
) -> list[np.ndarray]:
    """Draw a frame, its flow in colours, and the frame with arrows, each enlarged."""
    frame, colours = (
        cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
        for image in (frame, flow_colours(flow, longest))
    )
    arrows = frame.copy()
    stretch = ARROW_SPACING / longest
    add_arrows(arrows, flow * stretch, zoom)
    add_wheel(colours, longest)
    write_text(frame, f'frame {number}')
    write_text(arrows, f'arrows x{stretch:.1f}')
    return [frame, colours, arrows]


def add_arrows(image: np.ndarray, flow: np.ndarray, zoom: int) -> None:
    """Draw flow, H x W x 2 in pixels, as a grid of arrows over an enlarged frame."""
    height, width = flow.shape[:2]
    for y in range(ARROW_SPACING // 2, height, ARROW_SPACING):
        for x in range(ARROW_SPACING // 2, width, ARROW_SPACING):
            ends = np.array([(x, y), (x, y) + flow[y, x]]) * zoom + zoom / 2
            tail, head = np.rint(ends).astype(int).tolist()
            cv2.arrowedLine(image, tail, head, GREEN, 1, cv2.LINE_AA, tipLength=0.3)


def flow_colours(flow: np.ndarray, longest: float) -> np.ndarray:
    """Convert flow to RGB of the Middlebury colour wheel: hue is direction, white is no motion.

    Displacements of ``longest`` pixels or more have full colour.
    """
    length = np.linalg.norm(flow, axis=-1, keepdims=True)
    clipped = flow * np.minimum(1, longest / np.maximum(length, 1e-6))
    # flow2rgb scales by the longest displacement in its input, so we add one of that length.
    reference = np.full((1, flow.shape[1], 2), (longest, 0), np.float32)
    return np.rint(255 * flow2rgb(np.concatenate([clipped, reference]))[:-1]).astype(np.uint8)


def add_wheel(image: np.ndarray, longest: float) -> None:
    """Draw the colour wheel in the corner of an image, with the displacement at its rim below.

    An image smaller than the wheel is not changed.
    """
    radius = max(12, min(image.shape[:2]) // 9)
    if min(image.shape[:2]) < 2 * radius + 9:
        return
    grid = np.linspace(-1, 1, 2 * radius + 1, dtype=np.float32)
    wheel = np.dstack(np.meshgrid(grid, grid))
    inside = np.linalg.norm(wheel, axis=-1) <= 1
    corner = image[4 : 5 + 2 * radius, -5 - 2 * radius : -4]
    corner[inside] = flow_colours(wheel, 1.0)[inside]
    centre = (image.shape[1] - 5 - radius, 4 + radius)
    cv2.circle(image, centre, radius, GREY, 1, cv2.LINE_AA)
    write_text(image, f'rim: {longest:.1f} px')


def write_text(image: np.ndarray, text: str) -> None:
    """Write a line at the lower left of an image, on a dark background."""
    (width, height), below = cv2.getTextSize(text, FONT, 0.45, 1)
    bottom = image.shape[0]
    cv2.rectangle(image, (0, bottom - height - below - 6), (width + 8, bottom), DARK, -1)
    cv2.putText(image, text, (4, bottom - below - 2), FONT, 0.45, WHITE, 1, cv2.LINE_AA)


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('video', help='any video file')
    parser.add_argument(
        'out', type=Path, help='a video (.avi, .mp4), or else an image (.png, .jpg)'
    )
    parser.add_argument('--start', type=int, default=0, help='first frame (0)')
    parser.add_argument('--step', type=int, default=1, help='step between shown frames (1)')
    parser.add_argument(
        '--count', type=int, help='largest number of frames (an image: 6, a video: all)'
    )
    parser.add_argument(
        '--scale',
        type=int,
        nargs=2,
        default=(171, 128),
        metavar=('WIDTH', 'HEIGHT'),
        help='size in pixels for computing flow (171 128, as for networks)',
    )
    parser.add_argument('--zoom', type=int, default=2, help='magnification (2)')
    parser.add_argument('--fps', type=float, default=10, help='frame rate of a video (10)')
    return parser.parse_args()


def main() -> None:
    """Draw."""
    args = parse_args()
    with errors_in_one_line():
        given = dict(vars(args), scale=min(args.scale))
        for name, least in dict(start=0, step=1, count=1, scale=1, zoom=1, fps=1).items():
            if given[name] is not None and given[name] < least:
                raise InputError(f'--{name} has to be at least {least}')
        draw_flow(**dict(vars(args), scale=tuple(args.scale)))
    print(args.out)


if __name__ == '__main__':
    main()

"""Draw predictions below the frames of videos."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, count
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .._atomic import atomic_write
from .._errors import InputError
from ..datasets.store_tag import even
from ..datasets.video_reader import VideoReader
from .sliding_window import WindowScores

COLOURS = 255 * matplotlib.colormaps['tab10'](range(10))[:, :3]  # RGB, for the best classes
OTHER = np.full(3, 150)  # colour of all other classes
FONT = Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')  # OpenCV's fonts are ASCII
SHORTER = 360  # least length of the shorter side of a drawn picture, in pixels
LONGER = 1920  # enlarging does not make the longer side exceed this, in pixels
LARGEST = 8190  # most pixels of a side in MPEG-4
BACKGROUND = 25  # grey level outside the picture


class Panel:
    """Draw bars for the scores of the ``top`` classes in a strip below a picture.

    Pictures are enlarged by an integer factor, so that their shorter side has at least ``SHORTER``
    pixels unless the longer side would exceed ``LONGER``. Narrower pictures get margins. The text
    size is 1/26 of the shorter side. The strip is at most half as high as the picture.

    Args:
        size: Width and height of the pictures.
        labels: Names of the classes.
        top: Number of classes to draw.
        colours: RGB of classes by number; other classes are drawn in ``OTHER``.
    """

    def __init__(
        self,
        size: tuple[int, int],
        labels: Sequence[str],
        top: int,
        colours: Mapping[int, np.ndarray],
    ) -> None:
        factor = max(1, min(-(-SHORTER // min(size)), LONGER // max(size)))
        self.picture_size = width, height = size[0] * factor, size[1] * factor
        self.width = even(max(width, SHORTER))
        self.text_size = max(SHORTER, min(width, height)) // 26
        self.font = ImageFont.truetype(FONT, self.text_size)
        self.row_height = even(self.text_size * 3 // 2)
        self.rows = min(top, len(labels), max(1, height // 2 // self.row_height))
        self.percent_width = int(self.font.getlength('100% ')) + self.text_size // 3
        self.labels, self.colours = labels, colours
        self.picture_height = even(height)
        self.drawn: tuple[np.ndarray | None, np.ndarray] = None, np.empty(0)  # last scores, bars

    def draw(self, frame: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
        """Draw scores of all classes below a frame, H x W x 3 uint8, RGB; no bars for None."""
        width, height = self.picture_size
        shape = (self.picture_height + self.rows * self.row_height, self.width, 3)
        drawn = np.full(shape, BACKGROUND, np.uint8)
        left = (self.width - width) // 2
        enlarged = cv2.resize(frame, self.picture_size, interpolation=cv2.INTER_CUBIC)
        drawn[:height, left : left + width] = enlarged
        if scores is not None:
            if scores is not self.drawn[0]:
                self.drawn = scores, self._bars(scores)
            drawn[self.picture_height :] = self.drawn[1]
        return drawn

    def _bars(self, scores: np.ndarray) -> np.ndarray:
        bars = np.full((self.rows, self.row_height, self.width, 3), BACKGROUND, np.uint8)
        best = scores.argsort()[::-1][: self.rows].tolist()
        for bar, label in zip(bars, best):
            length = round(min(max(float(scores[label]), 0), 1) * self.width)
            bar[1:-1, :length] = 0.75 * self.colours.get(label, OTHER)
        image = Image.fromarray(bars.reshape(-1, self.width, 3))
        drawing = ImageDraw.Draw(image)
        for row, label in enumerate(best):
            place = (self.percent_width, (row + 0.5) * self.row_height)
            drawing.text(place, f'{scores[label]:.0%} ', 'white', self.font, anchor='rm')
            drawing.text(place, self.labels[label], 'white', self.font, anchor='lm')
        return np.asarray(image)


class Overlay:
    """Draw bars for the ``top`` classes at a frame, and a timeline of the best class.

    ``size`` is the width and height of frames; see :class:`Panel`. The ten classes with the highest
    mean scores have colours.
    """

    def __init__(
        self, size: tuple[int, int], scores: WindowScores, labels: Sequence[str], top: int
    ) -> None:
        best = scores.values.mean(0).argsort()[::-1]
        self.panel = Panel(size, labels, top, dict(zip(best.tolist(), COLOURS)))
        self.scores = scores
        # One column for each moment; its colour shows the best class, its height the score.
        height, width = even(self.panel.text_size), self.panel.width
        self.timeline = np.full((height, width, 3), BACKGROUND, np.uint8)
        for x in range(width):
            moment = scores.at(x * scores.frames // width)
            top = round(height * (1 - min(max(float(moment.max()), 0), 1)))
            self.timeline[top:, x] = self.panel.colours.get(int(moment.argmax()), OTHER)

    def draw(self, number: int, frame: np.ndarray) -> np.ndarray:
        """Draw below frame ``number`` of the video, H x W x 3 uint8, RGB."""
        timeline = self.timeline.copy()
        now = number * self.panel.width // self.scores.frames
        timeline[:, now : now + self.panel.text_size // 3] = 255
        return np.concatenate([self.panel.draw(frame, self.scores.at(number)), timeline])


def draw_live(
    frames: Iterable[np.ndarray],
    scores: Callable[[], np.ndarray | None],
    labels: Sequence[str],
    top: int,
) -> Iterator[np.ndarray]:
    """Draw the current ``top`` classes below each frame; ``scores()`` returns all scores."""
    colours = {number: COLOURS[number % 10] for number in range(len(labels))}
    panel: Panel | None = None
    for frame in frames:
        panel = panel or Panel(frame.shape[1::-1], labels, top, colours)
        yield panel.draw(frame, scores())


def show(frames: Iterable[np.ndarray], title: str) -> Iterator[np.ndarray]:
    """Show frames in a window and pass them on, until Q or Escape is pressed in the window."""
    for frame in frames:
        cv2.imshow(title, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        yield frame
        if cv2.waitKey(1) & 0xFF in (ord('q'), 27):
            return


def check_display() -> None:
    """Raise an InputError if OpenCV cannot open a window here."""
    if re.search(r'GUI: +NONE', cv2.getBuildInformation()):
        raise InputError('--show: this OpenCV has no windows: pip install opencv-contrib-python')
    if not os.environ.get('DISPLAY') and not os.environ.get('WAYLAND_DISPLAY'):
        raise InputError('--show: there is no display: use --draw FILE.mp4')


def draw_video(
    video: Path, out: Path, scores: WindowScores, labels: Sequence[str], top: int
) -> None:
    """Write a copy of a video, .mp4, with the ``top`` classes drawn below, atomically.

    Raises an InputError if the video does not decode or its copy cannot be written.
    """
    with VideoReader(video) as reader:
        frames = reader.frames()
        first = next(frames)
        overlay = Overlay(first.shape[1::-1], scores, labels, top)
        drawn = map(overlay.draw, count(), chain([first], frames))
        write_video(out, drawn, reader.fps, parents=True)


def write_video(path: Path, frames: Iterator[np.ndarray], fps: float, parents: bool) -> None:
    """Write frames, H x W x 3 uint8 RGB, as .mp4 or .avi, atomically; an InputError if it fails."""
    first = next(frames)
    fps = min(fps or 25.0, 65535.0)
    # MPEG-4 stores the rate as a fraction of 16-bit numbers.
    rate = Fraction(fps).limit_denominator(max(1, int(65535 / fps)))
    height, width = first.shape[:2]
    if max(height, width) > LARGEST:
        raise InputError(
            f'{path}: MPEG-4 has at most {LARGEST} pixels a side, not {width}x{height}'
        )
    with atomic_write(path, parents) as partial, av.open(f'file:{partial.absolute()}', 'w') as file:
        stream = file.add_stream('mpeg4', rate=rate)
        stream.height, stream.width = height, width
        stream.pix_fmt = 'yuv420p'
        stream.bit_rate = int(fps * width * height / 2)
        for frame in chain([first], frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        file.mux(stream.encode(None))

"""Draw predictions over time on copies of videos."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .._atomic import atomic_write
from .._errors import NOT_UTF8, InputError
from ..datasets.video_reader import VideoReader
from .sliding_window import WindowScores

COLOURS = 255 * matplotlib.colormaps['tab10'](range(10))[:, :3]  # of the best classes, RGB
OTHER = np.full(3, 150)  # colour of all other classes
FONT = Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')  # OpenCV's have ASCII only


class Overlay:
    """Draw bars of the ``top`` classes of a moment, and a timeline of the best class.

    Sizes follow that of the text: 1/26 of the shorter side of frames, whose ``size`` is width and
    height, at least 10 pixels. Bars take at most half of the height; narrow frames have no
    percentages.
    """

    def __init__(
        self, size: tuple[int, int], scores: WindowScores, labels: list[str], top: int
    ) -> None:
        width, height = size
        text_size = max(10, min(size) // 26)
        self.font = ImageFont.truetype(FONT, text_size)
        self.row_height = text_size * 3 // 2
        self.rows = min(top, max(1, height // 2 // self.row_height))
        self.bar_width = min(width, 22 * text_size)
        self.indent = text_size // 3
        self.percent_width = self.font.getlength('100% ') if width > 8 * text_size else 0
        self.scores, self.labels = scores, labels
        best = scores.values.mean(0).argsort()[::-1]
        self.colours = dict(zip(best.tolist(), COLOURS))
        # A column for each moment: in the colour of the best class, as high as its score.
        self.timeline = np.zeros((min(height, text_size * 3 // 4), width, 3))
        for x in range(width):
            moment = scores.at(x * scores.frames // width)
            top = round(len(self.timeline) * (1 - float(moment.max())))
            self.timeline[top:, x] = self.colours.get(int(moment.argmax()), OTHER)

    def draw(self, number: int, frame: np.ndarray) -> np.ndarray:
        """Draw on a frame, H x W x 3 uint8, RGB, in place, by its number in the video."""
        scores = self.scores.at(number)
        for row, label in enumerate(scores.argsort()[::-1][: self.rows].tolist()):
            score, top = float(scores[label]), row * self.row_height
            region = frame[top : top + self.row_height, : self.bar_width]
            blend(region, np.zeros(3), 0.6)
            blend(region[:, : round(score * self.bar_width)], self.colours.get(label, OTHER), 0.75)
            self._write(region, label, score)
        blend(frame[-len(self.timeline) :], self.timeline, 0.85)
        now = number * frame.shape[1] // self.scores.frames
        frame[-len(self.timeline) :, now : now + self.indent] = 255
        return frame

    def _write(self, region: np.ndarray, label: int, score: float) -> None:
        image = Image.fromarray(region)
        drawing = ImageDraw.Draw(image)
        place = (self.indent + self.percent_width, self.row_height / 2)
        if self.percent_width:
            drawing.text(place, f'{score:.0%} ', 'white', self.font, anchor='rm')
        drawing.text(place, self.labels[label], 'white', self.font, anchor='lm')
        region[:] = np.asarray(image)


def blend(region: np.ndarray, colour: np.ndarray, opacity: float) -> None:
    """Blend a colour, or an image, into a part of a frame, in place."""
    region[:] = (1 - opacity) * region + opacity * colour


def draw_video(video: Path, out: Path, scores: WindowScores, labels: list[str], top: int) -> None:
    """Write a copy of a video, .mp4, with the ``top`` classes of each moment drawn on, atomically.

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
    if NOT_UTF8.search(str(path)):  # OpenCV crashes
        raise InputError(f'{path}: cannot write a video there: its name is not UTF-8')
    with atomic_write(path, parents) as partial:
        fourcc = cv2.VideoWriter_fourcc(*'mp4v')  # type: ignore[attr-defined]
        writer = cv2.VideoWriter(str(partial), fourcc, fps, first.shape[1::-1])
        if not writer.isOpened():
            size = 'x'.join(map(str, first.shape[1::-1]))
            raise InputError(f'{path}: cannot write a video of {size} pixels there')
        try:
            for frame in chain([first], frames):
                writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        finally:
            writer.release()

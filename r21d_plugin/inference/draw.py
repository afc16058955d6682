"""Videos with what a network sees in them drawn on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .._errors import InputError
from ..datasets.decoding import DecordClipInit, all_frames
from .predict import Prediction
from .sliding_window import OverTime
from .video_writer import film

COLOURS = 255 * matplotlib.colormaps['tab10'](range(10))[:, :3]
"""Colours, RGB, of the classes with the highest mean scores, in turn."""

OTHER = np.full(3, 150)
"""Colour of all other classes."""

FONT = Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')
"""A font of more letters than OpenCV's, which has those of ASCII alone."""


class Overlay:
    """Bars of the best classes of the moment, and a timeline of the best one.

    All sizes follow that of the text: a part of the picture's shorter side, and
    at least 10 pixels. No more bars are drawn than fit into half the picture,
    and of a label as much as fits beside its percentage, which is left out
    where there is little room.

    Args:
        size (tuple[int, int]): Width and height of the frames.
        scores (OverTime): Scores, clips x classes.
        labels (Sequence[str]): Names of the classes.
        top (int): Bars, at most.
    """

    def __init__(
        self, size: tuple[int, int], scores: OverTime, labels: Sequence[str], top: int
    ) -> None:
        width, height = size
        letter = max(10, min(size) // 26)
        self.font = ImageFont.truetype(FONT, letter)
        self.row = letter * 3 // 2
        self.rows = min(top, max(1, height // 2 // self.row))
        self.panel = min(width, 22 * letter)
        self.indent = letter // 3
        self.percent = self.font.getlength('100% ') if width > 8 * letter else 0
        self.scores = scores
        self.labels = labels
        best = scores.values.mean(0).argsort()[::-1]
        self.colours = dict(zip(best.tolist(), COLOURS, strict=False))
        self.fitting = cache(self._fitting)
        self.timeline = self._timeline(width, letter * 3 // 4)

    def draw(self, frame: np.ndarray, number: int) -> None:
        """Draw on a frame, H x W x 3 uint8, RGB."""
        scores = self.scores.at(number)
        for row, label in enumerate(scores.argsort()[::-1][: self.rows].tolist()):
            place = frame[row * self.row : (row + 1) * self.row, : self.panel]
            bar = round(float(scores[label]) * self.panel)
            blend(place, np.zeros(3), 0.6)
            blend(place[:, :bar], self._colour(label), 0.75)
            place[:] = self._written(place, label, float(scores[label]))
        blend(frame[-len(self.timeline) :], self.timeline, 0.85)
        now = number * frame.shape[1] // self.scores.frames
        frame[-len(self.timeline) :, now : now + self.indent] = 255

    def _colour(self, label: int) -> np.ndarray:
        return self.colours.get(label, OTHER)

    def _written(self, place: np.ndarray, label: int, score: float) -> np.ndarray:
        image = Image.fromarray(place)
        drawing = ImageDraw.Draw(image)
        x = self.indent + self.percent
        middle = self.row / 2
        if self.percent:
            drawing.text((x, middle), f'{score:.0%} ', 'white', self.font, anchor='rm')
        drawing.text((x, middle), self.fitting(label), 'white', self.font, anchor='lm')
        return np.asarray(image)

    def _fitting(self, label: int) -> str:
        """As much of a label as there is room for."""
        room = self.panel - self.percent - 2 * self.indent
        text = whole = self.labels[label]
        for end in range(len(whole), 0, -1):
            text = whole[:end].rstrip() + '…' if end < len(whole) else whole
            if self.font.getlength(text) <= room:
                break
        return text

    def _timeline(self, width: int, height: int) -> np.ndarray:
        """The best class of each moment by its colour, and its score by how high it reaches."""
        strip = np.zeros((height, width, 3))
        for x in range(width):
            scores = self.scores.at(x * self.scores.frames // width)
            label = int(scores.argmax())
            strip[round(height * (1 - float(scores[label]))) :, x] = self._colour(label)
        return strip


def blend(place: np.ndarray, colour: np.ndarray, share: float) -> None:
    """Mix a colour, or a picture, into a part of a frame."""
    place[:] = (1 - share) * place + share * colour


def draw_video(
    video: Path, out: Path, scores: OverTime, labels: Sequence[str], top: int = 5
) -> None:
    """Write a copy of a video with the scores of each moment drawn on.

    Args:
        video (Path): The video.
        out (Path): Video to write, .mp4; it appears when it is complete.
        scores (OverTime): Scores, clips x classes.
        labels (Sequence[str]): Names of the classes.
        top (int): Bars, at most. Defaults to 5.

    Raises:
        InputError: If the video does not decode or its copy cannot be written.
    """
    fps = DecordClipInit().transform(dict(filename=str(video)))['avg_fps']
    frames = all_frames(str(video))
    first = next(frames)
    size = (first.shape[1], first.shape[0])
    overlay = Overlay(size, scores, labels, top)
    with film(out, fps, size, parents=True) as write_frame:
        for number, frame in enumerate(chain([first], frames)):
            overlay.draw(frame, number)
            write_frame(frame)


def copies_in(folder: Path, videos: Mapping[str, Path]) -> dict[Path, Path]:
    """Where to write the copies of videos.

    Args:
        folder (Path): The folder.
        videos (Mapping[str, Path]): Videos by their path below a folder.

    Returns:
        dict[Path, Path]: An .mp4 file for each video.

    Raises:
        InputError: If a copy would be written over a video.
    """
    copies = {}
    for name, video in videos.items():
        copy = folder / (name if video.suffix == '.mp4' else f'{name}.mp4')
        copies[video] = copy
    originals = {video.resolve() for video in videos.values()}
    for copy in copies.values():
        if copy.resolve() in originals:
            raise InputError(f'{copy}: is a video itself: give another folder to draw into')
    return copies


def draw_all(
    predictions: Iterable[Prediction],
    copies: Mapping[Path, Path],
    over_time: Callable[[Path], OverTime],
    labels: Sequence[str],
    top: int = 5,
) -> Iterator[Prediction]:
    """Draw videos as they are predicted.

    Args:
        predictions (Iterable[Prediction]): Predictions.
        copies (Mapping[Path, Path]): Where to write a copy of each video.
        over_time (Callable): Function from a video to its scores over time.
        labels (Sequence[str]): Names of the classes.
        top (int): Bars, at most. Defaults to 5.

    Yields:
        Prediction: The same, with the error of a video that cannot be drawn.
    """
    for prediction in predictions:
        if not prediction.error:
            video = prediction.video
            try:
                draw_video(video, copies[video], over_time(video), labels, top)
            except InputError as error:
                prediction = prediction._replace(error=str(error))
        yield prediction

"""The most confident mistakes of a test, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from markupsafe import Markup
from mmengine.config import Config

from ..._errors import InputError, escape_bytes
from ...datasets import inner_datasets
from .attention import GradCam
from .charts import scores_chart
from .pictures import heat_loop, video_loop
from .statistics import Outcomes, worst_mistakes
from .work_dir import FinishedTest

MOST = 12


class Mistake(NamedTuple):
    """A video that was given a wrong class.

    Attributes:
        video (str): Its name.
        true (str): Its class.
        given (str): The class that it was given.
        score (float): That class's score, 0 to 1.
        chart (Markup): The scores of both classes in its clips.
        loop (str): The video, as a data URI; empty if it does not decode.
        heat (str): Where the network looked in the clip with the highest score, or empty.
    """

    video: str
    true: str
    given: str
    score: float
    chart: Markup
    loop: str
    heat: str


class Gallery(NamedTuple):
    """Mistakes, what could not be shown of them, and the cells, T x H x W, of the maps."""

    mistakes: list[Mistake]
    gaps: list[str]
    cells: tuple[int, ...]


class Painter:
    """Makes the pictures of videos, and notes which are missing and why.

    ``network`` is None where there are no maps of where it looked.
    """

    def __init__(self, network: GradCam | None, gaps: list[str]) -> None:
        self.network, self.gaps = network, gaps
        self.cells: tuple[int, ...] = ()

    def paint(self, video: Path, clip: int, label: int) -> tuple[str, str]:
        """The video, and a clip of it with what speaks for a class, as data URIs or empty."""
        loop = heat = ''
        try:
            loop = video_loop(video)
            if self.network:
                seen = self.network.clip(video, clip, label)
                heat, self.cells = heat_loop(seen.frames, seen.heat), seen.cells
        except InputError as error:
            self.gaps.append(f'pictures: {error}')
        return loop, heat


def show_mistakes(
    test: FinishedTest, cfg: Config, names: Sequence[str], found: Outcomes, device: torch.device
) -> Gallery:
    """Show the twelve most confident mistakes of a test, with Grad-CAM where that is possible."""
    chosen = worst_mistakes(found, MOST)
    if not chosen:
        return Gallery([], [], ())
    network, gaps = None, []
    try:
        network = GradCam(cfg, cfg.get('load_from') or 'none', device)
    except InputError as error:
        gaps.append(f'where the network looked: {error}')
    painter = Painter(network, gaps)
    mistakes = [show(test, cfg, number, names, found, painter) for number in chosen]
    return Gallery(mistakes, painter.gaps, painter.cells)


def average_crops(views: np.ndarray, cfg: Config) -> np.ndarray:
    """Scores of clips, clips x classes, from those of views, which go through clips crop by crop.

    The number of clips is that of the test pipeline.
    """
    pipeline = inner_datasets(cfg.test_dataloader.dataset)[0].get('pipeline', [])
    counts = [transform['num_clips'] for transform in pipeline if 'num_clips' in transform]
    count = counts[-1] if counts and len(views) % counts[-1] == 0 else len(views)
    scores: np.ndarray = views.reshape(-1, count, views.shape[1]).mean(0)
    return scores


def show(
    test: FinishedTest,
    cfg: Config,
    number: int,
    names: Sequence[str],
    found: Outcomes,
    painter: Painter,
) -> Mistake:
    """Show a video of a test, by number."""
    name, (scores, _) = list(test.scores.items())[number]
    true, given = int(found.true[number]), int(found.given[number])
    views = scores.numpy()
    chart = scores_chart(f'scores {number}', average_crops(views, cfg), [given, true])
    pictures = painter.paint(test.videos[number], int(views[:, given].argmax()), given)
    score = float(found.score[number])
    return Mistake(escape_bytes(name), names[true], names[given], score, chart, *pictures)

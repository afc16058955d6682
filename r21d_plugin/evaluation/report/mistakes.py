"""Gallery of the most confident mistakes of a test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from markupsafe import Markup
from mmengine.config import Config
from torch import Tensor

from ..._errors import InputError, escape_bytes
from ...datasets import inner_datasets
from .attention import GradCam
from .charts import scores_chart
from .pictures import heat_loop, video_loop
from .statistics import Outcomes, worst_mistakes
from .work_dir import FinishedTest

MOST = 12


class Mistake(NamedTuple):
    """A misclassified video.

    Attributes:
        video (str): Name of the video.
        true (str): True class.
        given (str): Predicted class.
        score (float): Score of the predicted class, 0 to 1.
        chart (Markup): Chart of both classes' scores by clip.
        loop (str): The video as a data URI; empty if it does not decode.
        heat (str): Grad-CAM of the clip with the highest score as a data URI, or empty.
    """

    video: str
    true: str
    given: str
    score: float
    chart: Markup
    loop: str
    heat: str


class Gallery(NamedTuple):
    """Mistakes, their missing pictures, and the size of the heat maps in cells, T x H x W."""

    mistakes: list[Mistake]
    gaps: list[str]
    cells: tuple[int, ...]


class Painter:
    """Creates the pictures of videos, and records which are missing and why.

    ``network`` is None if there are no Grad-CAM maps.
    """

    def __init__(self, network: GradCam | None, gaps: list[str]) -> None:
        self.network, self.gaps = network, gaps
        self.cells: tuple[int, ...] = ()

    def paint(self, video: Path, clip: int, label: int) -> tuple[str, str]:
        """Return the video, and a clip with its Grad-CAM map, as data URIs or empty strings."""
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
    """Show the twelve most confident mistakes of a test, with Grad-CAM if possible."""
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


def average_crops(views: Tensor, cfg: Config) -> Tensor:
    """Average the scores of views over crops: clips x classes. Views are ordered crop by crop.

    The number of clips is that of the test pipeline.
    """
    pipeline = inner_datasets(cfg.test_dataloader.dataset)[0].get('pipeline', [])
    given = [transform.get('num_clips') for transform in pipeline]
    counts = [count for count in given if isinstance(count, int)]  # not 'all'
    count = counts[-1] if counts and len(views) % counts[-1] == 0 else len(views)
    return views.reshape(-1, count, views.shape[1]).mean(0)


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
    chart = scores_chart(f'scores {number}', average_crops(scores, cfg).numpy(), [given, true])
    pictures = painter.paint(test.videos[number], int(scores[:, given].argmax()), given)
    score = float(found.score[number])
    return Mistake(escape_bytes(name), names[true], names[given], score, chart, *pictures)

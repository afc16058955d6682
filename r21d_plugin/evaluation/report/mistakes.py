"""Gallery of the most confident mistakes of a test."""

from __future__ import annotations

from collections.abc import Sequence
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
    """A misclassified video."""

    video: str  # its name
    true: str  # class
    given: str  # predicted class
    score: float  # of the predicted class, 0 to 1
    chart: Markup  # of both classes' scores by clip
    loop: str  # the video as a data URI; empty if it does not decode
    heat: str  # Grad-CAM of the clip with the highest score as a data URI, or empty


class Gallery(NamedTuple):
    """Mistakes, their missing pictures, and the size of the heat maps in cells, T x H x W."""

    mistakes: list[Mistake]
    gaps: list[str]
    cells: tuple[int, ...]


def show_mistakes(
    test: FinishedTest, cfg: Config, names: Sequence[str], found: Outcomes, device: torch.device
) -> Gallery:
    """Show the twelve most confident mistakes of a test, with Grad-CAM if possible."""
    gallery = Gallery([], [], ())
    chosen = worst_mistakes(found, MOST)
    if not chosen:
        return gallery
    network = None
    try:
        network = GradCam(cfg, cfg.get('load_from') or 'none', device)
    except InputError as error:
        gallery.gaps.append(f'where the network looked: {error}')
    tested = list(test.scores.items())
    for number in chosen:
        name, (scores, _) = tested[number]
        true, given = int(found.true[number]), int(found.given[number])
        chart = scores_chart(f'scores {number}', average_crops(scores, cfg).numpy(), [given, true])
        loop = heat = ''
        try:
            loop = video_loop(test.videos[number])
            if network:
                seen = network.clip(test.videos[number], int(scores[:, given].argmax()), given)
                heat = heat_loop(seen.frames, seen.heat)
                gallery = gallery._replace(cells=seen.cells)
        except InputError as error:
            gallery.gaps.append(f'pictures: {error}')
        score = float(found.score[number])
        gallery.mistakes.append(
            Mistake(escape_bytes(name), names[true], names[given], score, chart, loop, heat)
        )
    return gallery


def average_crops(views: Tensor, cfg: Config) -> Tensor:
    """Average the scores of views over crops: clips x classes. Views are ordered crop by crop.

    The number of clips is that of the test pipeline.
    """
    pipeline = inner_datasets(cfg.test_dataloader.dataset)[0].get('pipeline', [])
    given = [transform.get('num_clips') for transform in pipeline]
    counts = [count for count in given if isinstance(count, int)]  # not 'all'
    count = counts[-1] if counts and len(views) % counts[-1] == 0 else len(views)
    return views.reshape(-1, count, views.shape[1]).mean(0)

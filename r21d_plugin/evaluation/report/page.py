"""The HTML page of a report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from mmengine.config import Config

from ..._atomic import atomic_write
from ..intervals import intervals
from ..scores import accuracy_by_clips
from . import charts, statistics
from .mistakes import average_crops, show_mistakes
from .work_dir import FinishedTest, environment_of, speed_of, training_of

PAIRS = 30  # number of confused pairs of classes that are listed
PACKAGES = ('r21d_plugin', 'torch', 'mmengine', 'mmaction2', 'numpy', 'av')


def write_report(
    test: FinishedTest, cfg: Config, names: Sequence[str], device: torch.device, path: Path
) -> list[str]:
    """Write the report of a test as one HTML page; the device is for Grad-CAM.

    Returns the missing parts of the page and the reasons, one line each. Raises an InputError if
    the page cannot be written.
    """
    classes = next(iter(test.scores.values())).clips.shape[1]
    curves, losses = training_of(test.folder.parent)
    found = statistics.outcomes(test.scores)
    matrix = statistics.confusion_matrix(found, classes)
    calibrated = statistics.calibration(found)
    gallery = show_mistakes(test, cfg, names, found, device)
    clips = {
        name: scores._replace(clips=average_crops(scores.clips, cfg))
        for name, scores in test.scores.items()
    }
    views, count = (len(next(iter(scores.values())).clips) for scores in (test.scores, clips))
    content: dict[str, Any] = dict(
        title=test.folder.parent.resolve().name,
        checkpoint=cfg.get('load_from') or '',
        videos=len(test.scores),
        clips=count,
        crops=views // count,
        names=names,
        accuracy=intervals(test.scores),
        wrong=int((~found.right).sum()),
        training=charts.training_chart(curves) if any(curves) else '',
        loss=charts.loss_chart(losses) if losses else '',
        numbered=classes > charts.NAMED_CLASSES,
        confusion=charts.confusion_chart(matrix, names),
        pairs=statistics.confused_pairs(matrix, names, PAIRS),
        rows=statistics.class_rows(matrix, names),
        calibration=charts.calibration_chart(calibrated),
        calibration_error=calibrated.error,
        gallery=gallery,
        by_clips=charts.clips_chart(accuracy_by_clips(clips)),
        speed=speed_of(test, cfg),
        environment=environment_of(test),
        versions={name: installed(name) for name in PACKAGES},
        config=test.config.read_text('utf-8'),
    )
    with atomic_write(path) as partial:
        partial.write_text(render(content), 'utf-8')
    return gallery.gaps


def render(content: dict[str, Any]) -> str:
    """Fill the template."""
    templates = Environment(
        loader=PackageLoader(__package__, 'templates'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template('page.html').render(content)


def installed(name: str) -> str:
    """Return the version of an installed distribution."""
    try:
        return version(name)
    except PackageNotFoundError:
        return 'not installed'

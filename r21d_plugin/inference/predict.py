"""Predict the classes of standalone videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.structures import ActionDataSample
from mmengine.dataset import pseudo_collate
from torch import Tensor

from .._errors import InputError
from ..datasets.checked_pipeline import CheckedPipeline
from ..datasets.pipelines import Pipeline, update_transform
from ..models.recognizer import Inputs, MultiClipTesting
from .scores import video_scores
from .sliding_window import SlidingWindow, WindowScores, apply_to_clips
from .video_inputs import build_pipeline, load_videos, run_pipeline


def predict(
    model: BaseRecognizer, pipeline: Pipeline, videos: Sequence[Path], workers: int = 0
) -> Iterator[tuple[Path, ActionDataSample | InputError]]:
    """Run the test pipeline and a network in evaluation mode on videos, one at a time.

    Yields each video, in order, with its prediction (``pred_score`` by :func:`video_scores`,
    ``total_frames`` and, if the pipeline opens the video, ``avg_fps``), or the error if it does not
    decode. Raises an InputError if scores are not finite.
    """
    meta_keys = ('total_frames', 'avg_fps')
    load = build_pipeline(update_transform(pipeline, 'PackActionInputs', meta_keys=meta_keys))
    for video, item in load_videos(partial(load_whole, load), videos, workers):
        if not isinstance(item, InputError):
            with torch.no_grad():
                (item,) = model.test_step(pseudo_collate([item]))
            item.pred_score = video_scores(model, item, video)
        yield video, item


def load_whole(pipeline: CheckedPipeline, video: Path) -> Iterator[dict[str, Any]]:
    """Load the test clips of a video as one item."""
    yield run_pipeline(pipeline, video)


def predict_over_time(model: BaseRecognizer, window: SlidingWindow, video: Path) -> WindowScores:
    """Score the sliding clips of a video; raise an InputError if it does not decode."""
    batches = ((video, batch) for batch in window.batches(video))
    ((_, scores),) = apply_to_clips(partial(view_scores, model), batches)
    assert isinstance(scores, WindowScores)
    return scores


def view_scores(model: BaseRecognizer, packed: dict[str, Any]) -> Tensor:
    """Test each packed view as a separate video; return scores, views x classes."""
    inputs = packed['inputs']
    views: Inputs
    if isinstance(inputs, dict):
        views = {stream: [*pixels.split(1)] for stream, pixels in inputs.items()}
        samples = [ActionDataSample() for _ in next(iter(views.values()))]
    else:
        views = [*inputs.split(1)]
        samples = [ActionDataSample() for _ in views]
    if isinstance(model, MultiClipTesting) or not (model.test_cfg or {}).get('max_testing_views'):
        tested = model.test_step(dict(inputs=views, data_samples=samples))
    else:  # MMAction2's recognizer takes one view at a time then
        batches = (dict(inputs=[view], data_samples=[ActionDataSample()]) for view in views)
        tested = [sample for batch in batches for sample in model.test_step(batch)]
    return torch.stack([video_scores(model, sample, 'clip') for sample in tested])

"""Predict the classes of standalone videos."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from tabulate import tabulate
from torch import Tensor

from .._errors import InputError
from ..datasets.pipelines import Pipeline, update_transform
from ..weights.public import kinetics_400
from .sliding_window import SlidingWindow, WindowScores
from .video_inputs import build_pipeline, load_videos, run_pipeline


def predict(
    model: BaseRecognizer, pipeline: Pipeline, videos: Sequence[Path], workers: int = 0
) -> Iterator[tuple[Path, ActionDataSample | InputError]]:
    """Test videos, each by itself.

    Args:
        model (BaseRecognizer): The network, in evaluation mode.
        pipeline (list[dict]): Its test pipeline.
        videos (Sequence[Path]): The videos.
        workers (int): Processes that decode. Defaults to 0: this one.

    Yields:
        tuple[Path, ActionDataSample or InputError]: Each video, in order, with its prediction
        (``pred_score``, ``total_frames`` and, where the pipeline opens the video, ``avg_fps``) or
        the reason why it does not decode.
    """
    meta_keys = ('total_frames', 'avg_fps')
    load = build_pipeline(update_transform(pipeline, 'PackActionInputs', meta_keys=meta_keys))
    for video, item in load_videos(partial(load_whole, load), videos, workers):
        if not isinstance(item, InputError):
            with torch.no_grad():
                (item,) = model.test_step(pseudo_collate([item]))
        yield video, item


def load_whole(pipeline: Compose, video: Path) -> Iterator[dict]:
    """Load the test clips of a video as one item."""
    yield run_pipeline(pipeline, video)


def predict_over_time(model: BaseRecognizer, window: SlidingWindow, video: Path) -> WindowScores:
    """Score the sliding clips of a video; an InputError if it does not decode."""
    batches = ((video, batch) for batch in window.batches(video))
    ((_, scores),) = window.apply(partial(view_scores, model), batches)
    assert isinstance(scores, WindowScores)
    return scores


def view_scores(model: BaseRecognizer, packed: dict) -> Tensor:
    """Test each of the packed views as a video of its own; scores are views x classes."""
    inputs = packed['inputs']
    if isinstance(inputs, dict):
        views = {stream: pixels.split(1) for stream, pixels in inputs.items()}
        count = len(next(iter(inputs.values())))
    else:
        views, count = inputs.split(1), len(inputs)
    samples = [ActionDataSample() for _ in range(count)]
    tested = model.test_step(dict(inputs=views, data_samples=samples))
    return torch.stack([sample.pred_score for sample in tested])


def to_dict(
    video: Path, prediction: ActionDataSample | InputError, labels: Sequence[str], top: int
) -> dict[str, Any]:
    """Convert a prediction to types that JSON has.

    Returns:
        dict: ``video`` and ``error``, or ``video``, ``frames``, ``fps`` and, best first, at most
        ``top`` ``classes`` of ``number``, ``label`` and ``score``.
    """
    if isinstance(prediction, InputError):
        return dict(video=str(video), error=str(prediction))
    best = prediction.pred_score.topk(min(top, len(labels)))
    return dict(
        video=str(video),
        frames=prediction.total_frames,
        fps=prediction.get('avg_fps', 0.0),
        classes=[
            dict(number=number, label=labels[number], score=score)
            for score, number in zip(*(values.tolist() for values in best), strict=True)
        ],
    )


def table(entry: dict[str, Any]) -> str:
    """Format what :func:`to_dict` gives: the video, and a line for each class."""
    rows = [
        ('', rank, found['label'], f'{found["score"]:.1%}')
        for rank, found in enumerate(entry['classes'], start=1)
    ]
    align = ('left', 'right', 'left', 'right')
    body = tabulate(rows, tablefmt='plain', colalign=align, disable_numparse=True)
    return f'{entry["video"]}\n{body}\n'


def class_names(cfg: Config, path: Path | None = None) -> list[str]:
    """Names of the classes of a config.

    Args:
        cfg (Config): The config.
        path (Path, optional): Label map, a name a line. Defaults to None: the
            ``label_map_<dataset>.txt`` beside the annotation file of the test, if it is there;
            else the published names for Kinetics-400, and numbers for others.

    Raises:
        InputError: If the label map is missing, unreadable or another dataset's.
    """
    classes = cfg.model.cls_head.num_classes
    folder, annotations = os.path.split(cfg.test_dataloader.dataset.get('ann_file', ''))
    dataset = annotations.split('_')[0]
    if path is None:
        path = Path(folder, f'label_map_{dataset}.txt')
        if not path.is_file():
            published = kinetics_400() if dataset == 'kinetics400' else []
            return published if len(published) == classes else [str(i) for i in range(classes)]
    try:
        names = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f'{path}: no readable label map, a name a line in UTF-8: {error}'
        ) from error
    if len(names) != classes:
        raise InputError(
            f"{path}: {len(names)} names, and the config has {classes} classes: give its dataset's "
            'label map with --labels'
        )
    return [name.strip() for name in names]

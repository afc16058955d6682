"""What a network sees in videos that are in no dataset."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from tabulate import tabulate
from torch import Tensor

from .._errors import InputError
from ..datasets.pipelines import Pipeline
from ..weights.public import kinetics_400
from .sliding_window import OverTime, SlidingWindow, over_time
from .video_inputs import Failure, WholeVideos, in_background


class Prediction(NamedTuple):
    """What a network says of a video.

    Attributes:
        video (Path): The video.
        scores (Tensor): Score of each class, as a test gives it; empty if the
            video does not decode.
        frames (int): Frames of the video.
        fps (float): Frames a second; 0 if unknown.
        error (str): Why there are no scores; empty if there are.
    """

    video: Path
    scores: Tensor = torch.empty(0)
    frames: int = 0
    fps: float = 0.0
    error: str = ''


def predict(
    model: BaseRecognizer, pipeline: Pipeline, videos: Sequence[Path], workers: int = 0
) -> Iterator[Prediction]:
    """Test videos, each by itself.

    Args:
        model (BaseRecognizer): The network, as
            :func:`~r21d_plugin.inference.recognizer.load_recognizer` gives it.
        pipeline (list[dict]): Its test pipeline.
        videos (Sequence[Path]): The videos.
        workers (int): Processes that decode. Defaults to 0: this one.

    Yields:
        Prediction: One for each video, in order.
    """
    items = in_background(WholeVideos(videos, pipeline), min(workers, len(videos)))
    for video, item in zip(videos, items, strict=True):
        if isinstance(item, Failure):
            yield Prediction(video, error=item.error)
            continue
        with torch.no_grad():
            sample = model.test_step(pseudo_collate([item]))[0]
        fps = sample.get('avg_fps', 0.0)
        yield Prediction(video, sample.pred_score.cpu(), sample.total_frames, fps)


def predict_over_time(model: BaseRecognizer, window: SlidingWindow, video: Path) -> OverTime:
    """Score the sliding clips of a video.

    Args:
        model (BaseRecognizer): The network.
        window (SlidingWindow): What gives its clips.
        video (Path): The video.

    Returns:
        OverTime: Scores, clips x classes.

    Raises:
        InputError: If the video does not decode.
    """
    scores = next(over_time(window.clips(video), partial(scores_of_views, model)))
    assert isinstance(scores, OverTime)
    return scores


def scores_of_views(model: BaseRecognizer, packed: dict) -> Tensor:
    """Test each view as a video of its own.

    Args:
        model (BaseRecognizer): The network.
        packed (dict): Views as a pipeline packs them.

    Returns:
        Tensor: Views x classes.
    """
    inputs = packed['inputs']
    if isinstance(inputs, dict):
        views = {stream: pixels.split(1) for stream, pixels in inputs.items()}
        count = len(next(iter(inputs.values())))
    else:
        views, count = inputs.split(1), len(inputs)
    samples = [ActionDataSample() for _ in range(count)]
    tested = model.test_step(dict(inputs=views, data_samples=samples))
    return torch.stack([sample.pred_score for sample in tested])


def describe(prediction: Prediction, labels: Sequence[str], top: int) -> dict[str, Any]:
    """What a prediction says, as plain data.

    Args:
        prediction (Prediction): The prediction.
        labels (Sequence[str]): Names of the classes.
        top (int): Classes, at most.

    Returns:
        dict: ``video`` and ``error``, or ``video``, ``frames``, ``fps`` and,
        best first, ``classes`` of ``number``, ``label`` and ``score``.
    """
    if prediction.error:
        return dict(video=str(prediction.video), error=prediction.error)
    scores, numbers = prediction.scores.topk(min(top, len(labels)))
    return dict(
        video=str(prediction.video),
        frames=prediction.frames,
        fps=prediction.fps,
        classes=[
            dict(number=number, label=labels[number], score=score)
            for number, score in zip(numbers.tolist(), scores.tolist(), strict=True)
        ],
    )


def table(description: dict[str, Any]) -> str:
    """Lay out what :func:`describe` gives: the video, and a line for each class."""
    rows = [
        ('', rank, found['label'], f'{found["score"]:.1%}')
        for rank, found in enumerate(description['classes'], start=1)
    ]
    align = ('left', 'right', 'left', 'right')
    body = tabulate(rows, tablefmt='plain', colalign=align, disable_numparse=True)
    return f'{description["video"]}\n{body}\n'


def class_names(cfg: Config, path: Path | None = None) -> list[str]:
    """Names of the classes of a config.

    Args:
        cfg (Config): The config.
        path (Path, optional): Label map, a name a line. Defaults to None: the
            ``label_map_<dataset>.txt`` that preparing a dataset writes beside
            its annotation files, if it is there for that of the config's test;
            else the published names of Kinetics-400, or numbers elsewhere.

    Raises:
        InputError: If the label map is missing, unreadable or another
            dataset's.
    """
    classes = cfg.model.cls_head.num_classes
    path = path or label_map_of(cfg)
    if path is None:
        published = kinetics_400() if dataset_of(cfg)[1] == 'kinetics400' else []
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


def label_map_of(cfg: Config) -> Path | None:
    """The label map of the dataset of a config's test, if it is there."""
    folder, dataset = dataset_of(cfg)
    path = Path(folder, f'label_map_{dataset}.txt')
    return path if path.is_file() else None


def dataset_of(cfg: Config) -> tuple[str, str]:
    """Folder of the annotation files of a config's test, and how their names begin."""
    folder, name = os.path.split(cfg.test_dataloader.dataset.get('ann_file', ''))
    return folder, name.split('_')[0]

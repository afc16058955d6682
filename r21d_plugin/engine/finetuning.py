"""What the configs of finetuning derive from the videos at hand and from weights."""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import InputError
from ..datasets import LabelledVideoDataset
from ..datasets.label_maps import NAMES_FILES
from ..datasets.text_files import read_lines
from ..models.factory import backbone_cfg, find_source, network_of
from ..models.tasks import CLASS, LABELS, NUMBERS, ORDERED, TASKS
from ..weights import infer_network, read_weights
from ..weights.public import Published, public_names

MIDDLE = [
    dict(type='r21d_plugin.OpenVideo'),
    dict(type='r21d_plugin.SampleFramesOfClips', clip_len=16, frame_interval=2, test_mode=True),
    dict(type='r21d_plugin.ReadFrames', scale=None),
]
"""Frames of a video to measure."""


def read_folder(data_root: str) -> tuple[str, int, list[int]]:
    """What the videos of a folder have, and how many train.

    Args:
        data_root (str): Folder that ``r21d prepare folder`` wrote: ``train.txt``, and one of
            ``classes.txt``, ``labels.txt`` and ``numbers.txt``.

    Returns:
        tuple: ``targets``, ``'class'``, ``'labels'`` or ``'numbers'``; the number of training
        videos; and that of each class, label or number.

    Raises:
        InputError: If it is none.
    """
    files = {targets: Path(data_root, name) for targets, name in NAMES_FILES.items()}
    found = [targets for targets, path in files.items() if path.is_file()]
    if len(found) > 1:
        raise InputError(f'{files[found[0]]} and {files[found[1]]}: remove the one of older lists')
    targets = (found or ['class'])[0]
    for path in (files[targets], Path(data_root, 'train.txt')):
        if not path.is_file():
            remedy = f'r21d prepare folder VIDEOS --out {data_root}'
            raise InputError(f'{path}: no such file: write it with `{remedy}`, or give data_root')
    lines = [line.split(' ') for line, _ in read_lines(Path(data_root, 'train.txt'))]
    count = len([*read_lines(files[targets])])
    if targets == 'numbers':
        return targets, len(lines), [len(lines)] * count
    several = targets == 'labels'
    videos = Counter(
        word
        for words in lines
        for word in (takewhile(str.isdecimal, reversed(words)) if several else words[-1:])
    )
    return targets, len(lines), [videos[str(number)] for number in range(count)]


def choose_task(targets: str, ordered: bool) -> str:
    """Name of the task of such videos: one of :data:`~r21d_plugin.models.tasks.TASKS`.

    Raises an InputError if what is ordered are no classes.
    """
    if ordered and targets != 'class':
        raise InputError(f'ordered={ordered}: for classes, and the lists have {targets}: remove it')
    by_targets = dict(zip(NAMES_FILES, (CLASS, LABELS, NUMBERS)))
    return (ORDERED if ordered else by_targets[targets]).name


def loss_of(
    task: str, videos: list[int], class_weight: Any, label_smoothing: float
) -> dict[str, Any]:
    """Config of the loss of a task; the other arguments are those of the config.

    Raises:
        InputError: If one of them has no effect on this task.
    """
    useless = dict(
        label_smoothing=label_smoothing if task != CLASS.name else 0,
        class_weight=class_weight if task == NUMBERS.name else None,
    )
    for name, value in useless.items():
        if value:
            raise InputError(f'{name}={value!r}: no effect on {task}: remove it')
    loss = dict(type=TASKS[task].loss)
    if task == NUMBERS.name:
        return loss
    return dict(loss, class_weight=weight_of_classes(videos, class_weight))


def metric_of(task: str) -> tuple[str, str, str]:
    """The metric of a task, its value that tells the best checkpoint, and the rule for it."""
    found = TASKS[task]
    return f'r21d_plugin.{found.metric}', found.best, found.rule


def weight_of_classes(videos: list[int], class_weight: Any) -> list[float] | None:
    """Weight of each class or label in the loss, from the number of its training videos.

    Args:
        videos (list[int]): Training videos of each class.
        class_weight (str or list[float], optional): ``'auto'`` weighs a class by one over its
            videos, with a mean of 1 over all videos. A list is taken as it is, and None gives all
            classes the same weight.

    Raises:
        InputError: If it is none of these.
    """
    if class_weight == 'auto':
        return [sum(videos) / (len(videos) * max(count, 1)) for count in videos]
    if class_weight is not None and (
        isinstance(class_weight, str) or len(class_weight) != len(videos)
    ):
        raise InputError(
            f"class_weight={class_weight!r}: use None, 'auto' or {len(videos)} numbers"
        )
    return class_weight


def pretrained(
    network: str, weights: str | None
) -> tuple[dict[str, Any], str | None, tuple[Any, ...]]:
    """What a config takes over from weights.

    Args:
        network (str): One of :func:`r21d_plugin.list_models`.
        weights (str, optional): Public weights by name (:func:`r21d_plugin.list_weights`), a URL or
            a checkpoint. None is a network without pretraining.

    Returns:
        tuple: What ``model`` of the config changes; the file or URL to load, or None; and the
        clips: their length, their rate (None: that of the video), width and height of frames (-1:
        by the aspect ratio) and size of the crop. They are those of public weights. For others,
        clips are 16 frames of 112 x 112 pixels, with the mean and deviation of Kinetics-400.

    Raises:
        InputError: If there are no such weights, or it is not published what input they need.
    """
    public = public_names(network).get(weights or '')
    facts = public or Published(network, 'a file', str(weights), clip_len=16)
    if None in (facts.clip_len, facts.mean, facts.std):
        problem = f'{facts.source} does not state length, mean and deviation of its clips'
        remedy = 'download it and give the file, for 16 frames and those of Kinetics-400'
        raise InputError(f'{weights}: {problem}: {remedy}')
    shape: dict[str, Any] = {}
    if public:
        shape = dict(midplanes=public.midplanes)
    elif weights is not None and '://' not in weights:
        tensors = read_weights(find_source(network, weights)).tensors
        if (other := network_of(tensors)) != network:
            raise InputError(f'{weights}: weights of {other or "another network"}, not {network}')
        shape = infer_network(tensors)
    backbone = backbone_cfg(network, facts.clip_len)
    if backbone['type'] == 'R2Plus1D' and 'midplanes' in shape:
        backbone['midplanes'] = shape['midplanes']
    rate = facts.fps if facts.fps != 30 else None  # 30: Kinetics as it is
    width = shape.get('base_channels', 64)
    model = dict(
        backbone=dict(backbone, type=f'r21d_plugin.{backbone["type"]}', base_channels=width),
        cls_head=dict(in_channels=8 * width * (4 if backbone['depth'] > 34 else 1)),
        data_preprocessor=dict(mean=facts.mean, std=facts.std),
    )
    clip_input = (facts.clip_len, rate, scale_of(facts.resize_size), facts.crop_size[0])
    return model, None if weights is None else facts.url, clip_input


def mean_and_std(videos: dict[str, Any], samples: int = 128) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel of videos, RGB, 0 to 255.

    Args:
        videos (dict): Arguments of the dataset of training.
        samples (int): Videos that it takes, at random, by the same seed each time. Of each it reads
            16 frames, every second one. Defaults to 128.

    Raises:
        InputError: If there is no list of them, or one does not decode.
    """
    dataset = LabelledVideoDataset(**videos, pipeline=MIDDLE, test_mode=True)
    chosen = np.random.default_rng(0).permutation(len(dataset))[:samples]
    moments = []
    for index in chosen.tolist():
        frames = np.stack(dataset[index]['imgs']).astype(np.float64)
        moments.append((frames.mean((0, 1, 2)), (frames**2).mean((0, 1, 2))))
    mean, square = np.mean(moments, 0)
    return mean.round(3).tolist(), np.sqrt(square - mean**2).round(3).tolist()


def scale_of(resize_size: tuple[int, int] | int | None) -> tuple[int, int]:
    """Width and height of frames from height and width, or from their shorter side."""
    if resize_size is None:
        return 171, 128
    return (-1, resize_size) if isinstance(resize_size, int) else (resize_size[1], resize_size[0])

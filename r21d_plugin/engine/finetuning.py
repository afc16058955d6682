"""Settings that finetuning configs derive from the user's videos and from weights."""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import InputError
from ..datasets import LabelledVideoDataset
from ..datasets.label_maps import NAMES_FILES
from ..datasets.text_files import read_lines, read_numbers
from ..models.factory import backbone_cfg, find_source, network_of
from ..models.tasks import CLASS, NUMBERS, ORDERED, TASKS
from ..weights import infer_network, read_weights
from ..weights.public import Published, public_names

MIDDLE = [
    dict(type='r21d_plugin.OpenVideo'),
    dict(type='r21d_plugin.SampleFramesOfClips', clip_len=16, frame_interval=2, test_mode=True),
    dict(type='r21d_plugin.ReadFrames', scale=None),
]
"""Frames per video for measuring mean and deviation."""


def read_folder(data_root: str) -> tuple[str, int, list[int]]:
    """Read a folder that ``r21d prepare folder`` wrote; raise an InputError if it is not one.

    Returns ``targets`` (``'class'``, ``'labels'`` or ``'numbers'``), the number of training videos,
    and the number of videos with each class, label or number.
    """
    files = {targets: Path(data_root, name) for targets, name in NAMES_FILES.items()}
    found = [targets for targets, path in files.items() if path.is_file()]
    if len(found) > 1:
        raise InputError(f'{files[found[0]]} and {files[found[1]]}: remove the outdated one')
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


def choose_task(targets: str, ordered: bool, data_root: str) -> str:
    """Return the name of a task in :data:`~r21d_plugin.models.tasks.TASKS` for the targets.

    Raises an InputError if ``ordered`` is set and the targets are not classes, or the classes are
    numbers that do not ascend.
    """
    if ordered and targets != 'class':
        raise InputError(f'ordered={ordered}: for classes, and the lists have {targets}: remove it')
    if ordered:
        check_order(Path(data_root, NAMES_FILES['class']))
    task = next(task for task in TASKS.values() if task.targets[0] == targets)
    return (ORDERED if ordered else task).name


def check_order(path: Path) -> None:
    """Raise an InputError if the names in a file are numbers that do not ascend."""
    values = read_numbers([name for name, _ in read_lines(path)])
    if values is not None and values != sorted(values):
        remedy = f'remove {path.parent} and prepare it anew'
        raise InputError(f'{path}: its numbers do not ascend, and ordered=True: {remedy}')


def loss_of(
    task: str, videos: list[int], class_weight: Any, label_smoothing: float
) -> dict[str, Any]:
    """Return the loss config of a task; the other arguments are options of the user's config.

    Raises an InputError if an option has no effect on this task.
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
    """Return the metric of a task, the value that selects the best checkpoint, and its rule."""
    found = TASKS[task]
    return f'r21d_plugin.{found.metric}', found.best, found.rule


def weight_of_classes(videos: list[int], class_weight: Any) -> list[float] | None:
    """Compute the weight of each class or label in the loss from its number of training videos.

    ``'auto'`` weights a class by the inverse of that number, with a mean of 1 over all videos. A
    list is returned as it is, and so is None. Raises an InputError if ``class_weight`` is invalid.
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
    """Return the settings of a config that depend on pretrained weights.

    ``weights`` are public weights by name, a URL or a checkpoint; None: no pretraining. Returns the
    changes to ``model`` of the config; the file or URL to load, or None; and the clips' length,
    frame rate (None: that of the video), width and height of frames (-1: by the aspect ratio) and
    crop size. Public weights define them. For other weights, clips have 16 frames of 112 x 112
    pixels, and the mean and deviation of Kinetics-400.

    Raises an InputError if the weights are unknown, or their publisher does not state their input.
    """
    public = public_names(network).get(weights or '')
    facts = public or Published(network, 'a file', str(weights), clip_len=16)
    if None in (facts.clip_len, facts.mean, facts.std):
        problem = f'{facts.source} does not state length, mean and deviation of its clips'
        remedy = 'download the file and name it, to use 16 frames and values of Kinetics-400'
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
    rate = facts.fps if facts.fps != 30 else None  # 30: original rate of Kinetics
    width = shape.get('base_channels', 64)
    model = dict(
        backbone=dict(backbone, type=f'r21d_plugin.{backbone["type"]}', base_channels=width),
        cls_head=dict(in_channels=8 * width * (4 if backbone['depth'] > 34 else 1)),
        data_preprocessor=dict(mean=facts.mean, std=facts.std),
    )
    clip_input = (facts.clip_len, rate, scale_of(facts.resize_size), facts.crop_size[0])
    return model, None if weights is None else facts.url, clip_input


def mean_and_std(videos: dict[str, Any], samples: int = 128) -> tuple[list[float], list[float]]:
    """Measure mean and deviation of each channel of videos, RGB, 0 to 255.

    ``videos`` are the arguments of the training dataset, of which some samples, chosen with a fixed
    seed, are read. Raises an InputError if the list is missing, or a video does not decode.
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
    """Convert height and width, or the shorter side, to a scale (width, height)."""
    if resize_size is None:
        return 171, 128
    return (-1, resize_size) if isinstance(resize_size, int) else (resize_size[1], resize_size[0])

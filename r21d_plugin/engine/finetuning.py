"""What the configs of finetuning derive from the videos at hand and from weights."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from .._errors import InputError
from ..datasets.text_files import read_lines
from ..models.factory import backbone_cfg, find_source, network_of
from ..weights import infer_network, read_weights
from ..weights.public import Published, public_names


def videos_per_class(data_root: str) -> list[int]:
    """Count the training videos of each class.

    Args:
        data_root (str): Folder that ``r21d prepare folder`` wrote: ``classes.txt`` and
            ``train.txt``.

    Raises:
        InputError: If it is none.
    """
    names, videos = Path(data_root, 'classes.txt'), Path(data_root, 'train.txt')
    for path in (names, videos):
        if not path.is_file():
            remedy = f'r21d prepare folder VIDEOS --out {data_root}'
            raise InputError(f'{path}: no such file: write it with `{remedy}`, or give data_root')
    labels = Counter(line.rpartition(' ')[2] for line, _ in read_lines(videos))
    return [labels[str(number)] for number, _ in enumerate(read_lines(names))]


def weight_of_classes(videos: list[int], class_weight: Any) -> list[float] | None:
    """Weight of each class in the loss, from the number of its training videos.

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


def pretrained(network: str, weights: str | None) -> tuple[dict, str | None, tuple]:
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


def scale_of(resize_size: tuple[int, int] | int | None) -> tuple[int, int]:
    """Width and height of frames from height and width, or from their shorter side."""
    if resize_size is None:
        return 171, 128
    return (-1, resize_size) if isinstance(resize_size, int) else (resize_size[1], resize_size[0])

"""Check that a recognizer and the pipelines of its config fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config
from torch import nn

from .._errors import InputError
from .._registries import TRANSFORMS
from ..datasets.pipelines import name_of
from ..datasets.wrappers import inner_datasets
from ..models.parts import Stream, check_parts, streams_of
from ..models.recognizer import check_runtime

RGB_TRANSFORMS = {
    *('DecordInit', 'DecordDecode', 'PyAVInit', 'PyAVDecode', 'OpenCVInit', 'OpenCVDecode'),
    *('SampleFrames', 'UniformSample', 'Resize', 'RandomRescale', 'RandomResizedCrop', 'Flip'),
    *('RandomCrop', 'CenterCrop', 'ThreeCrop', 'TenCrop', 'MultiScaleCrop', 'ColorJitter'),
    *('FormatShape', 'PackActionInputs', 'TransformBroadcaster'),
}
"""Transforms of MMAction2 that read RGB or keep the number of channels."""


def check_model(model: nn.Module, cfg: Config) -> None:
    """Raise an InputError that names two keys of a config with different numbers of channels.

    In addition to :func:`~r21d_plugin.models.parts.check_parts`, this function checks that the
    pipelines of all dataloaders provide the input of the network. Recognizers without a backbone of
    this package, and pipelines with transforms of other packages, are not checked.

    Args:
        model (nn.Module): Any recognizer, possibly wrapped for distributed training.
        cfg (Config): Config of the recognizer.
    """
    model = getattr(model, 'module', model)
    check_parts(model)
    check_runtime(model, ('runtime', 'dtype'))
    streams = list(streams_of(model))
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if streams and loader:
            for dataset in inner_datasets(loader.dataset):
                check_pipeline(f'the pipeline of {name}.dataset', dataset, streams)


def check_pipeline(where: str, dataset: dict[str, Any], streams: Sequence[Stream]) -> None:
    """Compare the output of a dataset's pipeline with the input of the networks."""
    given = channels_of(dataset.get('pipeline') or [])
    inputs = {stream.inputs for stream in streams}
    if given and given.keys() != inputs:
        takes = f'model.backbone takes {" and ".join(sorted(inputs))}'
        remedy = 'take model and pipelines from configs of one kind'
        raise InputError(f'{where} gives {" and ".join(given)} and {takes}: {remedy}')
    for stream in streams if given else ():
        channels = stream.network.in_channels
        if given[stream.inputs] != channels:
            raise InputError(
                f'{where} gives {stream.inputs} of {given[stream.inputs]} channels and '
                f'{stream.key}.in_channels={channels}: RGB has 3 channels, flow 2, ToGray 1'
            )


def channels_of(pipeline: Sequence[Any]) -> dict[str, int]:
    """Return a pipeline's output channels by input name; empty if they are unknown."""
    steps = dict(flatten(pipeline))
    known = RGB_TRANSFORMS | TRANSFORMS.module_dict.keys()
    if 'PackActionInputs' not in steps or not steps.keys() <= known:
        return {}
    channels = dict(imgs=3)
    if 'ToGray' in steps:
        channels['imgs'] = 1
    if flow := steps.get('FarnebackFlow'):
        channels[flow.get('key', 'imgs')] = 2
    packed = steps['PackActionInputs'].get('collect_keys') or ('imgs',)
    return {name: channels[name] for name in packed} if set(packed) <= set(channels) else {}


def flatten(pipeline: Sequence[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name (without scope) and arguments of all transforms in a pipeline's config."""
    for step in pipeline:
        yield name_of(step), step
        yield from flatten(step.get('transforms', ()))

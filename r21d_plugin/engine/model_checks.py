"""Check that a recognizer and the pipelines of its config fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config
from torch import nn

from .._errors import InputError
from .._registries import TRANSFORMS
from ..datasets.wrappers import inner_datasets
from ..models.parts import Stream, check_parts, streams_of
from ..models.recognizer import check_runtime

RGB_TRANSFORMS = {
    *('DecordInit', 'DecordDecode', 'PyAVInit', 'PyAVDecode', 'OpenCVInit', 'OpenCVDecode'),
    *('SampleFrames', 'UniformSample', 'Resize', 'RandomRescale', 'RandomResizedCrop', 'Flip'),
    *('RandomCrop', 'CenterCrop', 'ThreeCrop', 'TenCrop', 'MultiScaleCrop', 'ColorJitter'),
    *('FormatShape', 'PackActionInputs', 'TransformBroadcaster'),
}
"""Transforms of MMAction2 that read RGB or leave its channels as they are."""


def check_model(model: nn.Module, cfg: Config) -> None:
    """Raise an InputError that names two keys of a config that disagree about channels.

    See :func:`~r21d_plugin.models.parts.check_parts`; here the pipelines of all dataloaders have to
    give what the network takes, too. What is not around a backbone of ours, and pipelines with
    transforms of other packages, pass.

    Args:
        model (nn.Module): A recognizer, ours or not, wrapped for several processes or not.
        cfg (Config): Its config.
    """
    model = getattr(model, 'module', model)
    check_parts(model)
    check_runtime(model)
    streams = list(streams_of(model))
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if streams and loader:
            for dataset in inner_datasets(loader.dataset):
                check_pipeline(f'the pipeline of {name}.dataset', dataset, streams)


def check_pipeline(where: str, dataset: dict[str, Any], streams: Sequence[Stream]) -> None:
    """Compare what the pipeline of a dataset's config gives with what networks take."""
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
    """Channels that a pipeline's config gives, by the names of inputs; empty if not known."""
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
    """Yield name, without scope, and arguments of all steps of a pipeline's config."""
    for step in pipeline:
        kind = step['type']
        name = kind if isinstance(kind, str) else kind.__name__
        yield name.rpartition('.')[2], step
        yield from flatten(step.get('transforms', ()))

"""Recognizers that test videos with many clips."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Dict, List, Union

import torch
from mmaction.models import Recognizer3D
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from .._errors import InputError, check_whole
from .._registries import MODELS
from .accelerate import has_fast_bfloat16
from .parts import check_parts
from .runtimes import computed_by_openvino, forget, runtime_and_dtype

Inputs = Union[List[Tensor], Dict[str, List[Tensor]]]


class MultiClipTesting(BaseRecognizer):
    """Base class of recognizers that test a few views at a time, for any kind of input.

    ``test_cfg=dict(max_testing_views=n)`` limits the number of views (clips times crops) on the
    device at once, at any batch size; the uint8 pixels of other views stay in host memory. By
    default, all views of a batch are computed at once. With ``test_cfg=dict(dtype='bfloat16')`` (or
    ``'float16'`` on a GPU) the backbone computes in that dtype; classifier and scores stay float32.
    With ``test_cfg=dict(runtime='openvino')`` OpenVINO computes the backbone on the CPU, in
    float32, bfloat16 or int8.

    Arguments are those of MMAction2's recognizer. Raises an InputError if the parts do not fit
    together (:func:`~r21d_plugin.models.parts.check_parts`) or ``test_cfg`` names an unknown
    runtime or dtype.
    """

    int8: Mapping[str, Any] | None = None  # quantised backbone of the loaded checkpoint

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_parts(self)
        check_runtime(self)
        if (limit := (self.test_cfg or {}).get('max_testing_views')) is not None:
            check_whole('model.test_cfg.max_testing_views', limit)

    def train(self, mode: bool = True) -> MultiClipTesting:
        """Set the mode; OpenVINO will compile the backbone again."""
        forget(self.backbone)
        return super().train(mode)

    def test_step(self, data: dict[str, Any]) -> list[BaseDataElement]:
        """Predict a batch of videos.

        ``data['inputs']`` is a list with one tensor per video, views x C x T x H x W, or a dict of
        such lists by stream. Returns ``data['data_samples']`` with predictions.
        """
        if not data['data_samples']:  # all videos were skipped; MMEngine's loops remove losses
            return [BaseDataElement(loss={})]
        check_views(data['inputs'])
        test_cfg = self.test_cfg or {}
        logits = []
        for chunk in chunks(data['inputs'], test_cfg.get('max_testing_views')):
            batch = self.data_preprocessor(dict(inputs=chunk, data_samples=None), False)
            with computed_as_configured(self):
                logits.append(self(batch['inputs'], mode='tensor', stage='head'))
        data_samples = self.data_preprocessor.cast_data(data['data_samples'])
        samples: list[BaseDataElement]
        samples = self.cls_head.predict_by_feat(torch.cat(logits), data_samples)
        return samples

    val_step = test_step


@MODELS.register_module()
class MultiClipRecognizer(MultiClipTesting, Recognizer3D):
    """MMAction2's Recognizer3D that tests as :class:`MultiClipTesting` does."""


def check_runtime(model: nn.Module, keys: Sequence[str] = ('runtime',)) -> None:
    """Raise an InputError if a recognizer does not support the runtime or dtype of test_cfg.

    Another recognizer than ours reads none of the keys, ``'runtime'`` and in a test ``'dtype'``.
    """
    test_cfg = getattr(model, 'test_cfg', None) or {}
    if isinstance(model, MultiClipTesting):
        runtime_and_dtype(test_cfg)
    elif unread := [key for key in keys if key in test_cfg]:
        remedy = "use model.type='r21d_plugin.MultiClipRecognizer'"
        where = f'model.test_cfg.{unread[0]}'
        raise InputError(f'{where}: {type(model).__name__} ignores it: {remedy}')


@contextmanager
def computed_as_configured(recognizer: BaseRecognizer) -> Iterator[None]:
    """Context manager: compute with the runtime and dtype of a recognizer's ``test_cfg``."""
    runtime, dtype = runtime_and_dtype(recognizer.test_cfg)
    device = torch.device(recognizer.data_preprocessor.device)
    if runtime == 'openvino':
        if device.type != 'cpu':
            remedy = 'add --device cpu (--gpus 0 with mim)'
            raise InputError(f'test_cfg.runtime={runtime!r} is for the CPU: {remedy}')
        int8 = getattr(recognizer, 'int8', None)
        with computed_by_openvino(recognizer.backbone, dtype, int8):
            yield
        return
    if device.type == 'cpu' and dtype == 'bfloat16':
        warn_of_slow_bfloat16()
    kind = None if dtype == 'float32' else getattr(torch, dtype)
    with torch.autocast(device.type, kind, enabled=kind is not None):
        yield


@lru_cache(maxsize=None)
def warn_of_slow_bfloat16() -> None:
    """Log one warning if bfloat16 is slow on this CPU."""
    if not has_fast_bfloat16():
        message = 'this CPU lacks bfloat16 instructions: bfloat16 is several times slower'
        print_log(message, 'current', logging.WARNING)


def check_views(inputs: Inputs) -> None:
    """Raise an InputError if the videos of a batch have different numbers of views."""
    videos = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    views = {len(video) for video in videos}
    if len(views) > 1:
        found = f'videos of {" and ".join(map(str, sorted(views)))} clips in a batch'
        raise InputError(f'{found}: use test_dataloader.batch_size=1')


def chunks(inputs: Inputs, limit: int | None) -> Iterator[Inputs]:
    """Split the views of a batch of videos (views x ... each) into chunks of ``limit`` views."""
    if isinstance(inputs, dict):
        for parts in zip(*(chunks(videos, limit) for videos in inputs.values())):
            yield dict(zip(inputs, parts))
        return
    views = [view for video in inputs for view in video]
    limit = limit or len(views)
    for start in range(0, len(views), limit):
        yield [torch.stack(views[start : start + limit])]

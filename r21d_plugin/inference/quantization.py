"""Quantise the backbone of a recognizer to int8 for OpenVINO, with NNCF."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Dict, cast

import numpy as np
import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.dataset import pseudo_collate
from tqdm import tqdm

from .._errors import InputError
from .._packages import import_package
from ..evaluation import ClipVideoAccuracy
from ..models.runtimes import OpenVinoTwin, computed_by_twin, convert, core, to_plain_data
from ..models.tasks import check_classes


def quantize(
    model: BaseRecognizer,
    calibration: Sequence[dict[str, Any]],
    held_out: Sequence[dict[str, Any]],
    max_drop: float,
) -> dict[str, dict[str, float]]:
    """Quantise the backbone of a trained recognizer and store it in ``model.int8``.

    The recognizer is in evaluation mode, on the CPU. NNCF measures activation ranges on the packed
    clips ``calibration``. If video@1 on ``held_out`` drops by more than ``max_drop`` (0 to 1), NNCF
    reverts layers to float, beginning with the layer that costs most accuracy, until the drop is
    small enough; an InputError if it remains too large. Returns the accuracies of ``'float32'`` and
    ``'int8'``, as :class:`~r21d_plugin.evaluation.ClipVideoAccuracy` names them.
    """
    check_classes(model.cls_head)
    nncf = import_package('nncf')
    nncf.set_log_level(logging.ERROR)
    core()  # has to be created before NNCF's core
    found = {'float32': accuracy(model, held_out, 'float32')}
    float_model = convert(model.backbone)
    clips = nncf.Dataset(calibration, partial(clips_of, model))
    options: Any = dict(target_device=nncf.TargetDevice.CPU, subset_size=len(calibration))
    set_int8(model, nncf.quantize(float_model, clips, **options))
    found['int8'] = accuracy(model, held_out, 'int8')
    if drop(found) > max_drop:
        tqdm.write(f'int8 loses {drop(found):.2%} of video@1: reverting layers', sys.stderr)

        def validate(compiled: Any, videos: Iterable[dict[str, Any]]) -> tuple[float, list[float]]:
            with computed_by_twin(model.backbone, CompiledTwin(compiled), 'int8'):
                metric = tested(model, videos, runtime='torch', dtype='float32')
            hits = [float(result[''][2]) for result in metric.results]  # fused scores, top 1
            return float(np.mean(hits)), hits

        quantized = nncf.quantize_with_accuracy_control(
            float_model, clips, nncf.Dataset(held_out), validate, max_drop=max_drop, **options
        )
        set_int8(model, quantized)
        found['int8'] = accuracy(model, held_out, 'int8')
    if drop(found) > max_drop:
        before, after = (found[dtype]['video@1'] for dtype in ('float32', 'int8'))
        raise InputError(
            f'not written: video@1 falls from {before:.2%} to {after:.2%}, by more than --max-drop '
            f'{100 * max_drop:g}: calibrate with more --clips, or use bfloat16'
        )
    return found


def set_int8(model: Any, quantized: Any) -> None:
    """Give a recognizer a quantised backbone, as plain data."""
    model.int8 = to_plain_data(quantized)


class CompiledTwin(OpenVinoTwin):
    """A twin of a compiled model."""

    def __init__(self, compiled: Any) -> None:
        self.given = [compiled.create_infer_request()]

    def requests(self, dtype: str, clips: int) -> list[Any]:
        """Return the only request."""
        return self.given


def drop(found: dict[str, dict[str, float]]) -> float:
    """Return the drop of video@1 caused by int8, 0 to 1."""
    change = found['float32']['video@1'] - found['int8']['video@1']
    return round(change, 9)  # 0.99 - 0.985 is above 0.005 by rounding


def clips_of(model: BaseRecognizer, packed: dict[str, Any]) -> list[np.ndarray]:
    """Return the normalised views of packed clips: views x C x T x H x W for each stream."""
    batch = dict(inputs=pseudo_collate([packed])['inputs'], data_samples=None)
    inputs = model.data_preprocessor(batch, False)['inputs']
    streams = inputs.values() if isinstance(inputs, dict) else [inputs]
    return [x.flatten(0, 1).float().numpy() for x in streams]


def tested(
    model: BaseRecognizer, videos: Iterable[dict[str, Any]], **test_cfg: str
) -> ClipVideoAccuracy:
    """Test a recognizer with changes to its ``test_cfg``, on the packed videos that decode."""
    given, metric = model.test_cfg, ClipVideoAccuracy()
    model.test_cfg = dict(given or {}, **test_cfg)
    try:
        for packed in videos:
            if 'inputs' in packed:
                with torch.no_grad():
                    samples = model.test_step(pseudo_collate([packed]))
                metric.process(None, [sample.to_dict() for sample in samples])
    finally:
        model.test_cfg = given
    return metric


def accuracy(
    model: BaseRecognizer, videos: Sequence[dict[str, Any]], dtype: str
) -> dict[str, float]:
    """Measure accuracy with OpenVINO; raise an InputError if the videos have no labels."""
    shown = tqdm(videos, desc=dtype, unit='video')
    metric = tested(model, shown, runtime='openvino', dtype=dtype)
    found = cast(Dict[str, float], metric.compute_metrics(metric.results))
    if not found:
        raise InputError('the held-out videos have no labels: accuracy cannot be measured')
    return found

"""Quantise an exported ONNX file to int8, and measure the loss of accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Dict

import numpy as np
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from .._errors import InputError
from ..datasets.wrappers import inner_datasets
from ..evaluation.clip_video_accuracy import labels_of
from .video_inputs import named_inputs, one_crop_pipeline

CALIBRATION, HELD_OUT = 100, 500  # largest numbers of videos
MAX_DROP = 0.5  # largest drop of accuracy, in percentage points

Feed = Dict[str, np.ndarray]


def quantize(path: Path, cfg: Config, clips: int | None, videos: str) -> tuple[float, float]:
    """Quantise the convolutions of an ONNX file to int8 per channel (QDQ format), in place.

    ``clips`` is the number of clips per video that the file takes (None: single clips), and
    ``videos`` the list to calibrate with, with paths below the config's training folder. Returns
    top-1 accuracy before and after, in per cent, on videos spread evenly over the list of the
    config's test. Raises an InputError if it drops by more than ``MAX_DROP``.
    """
    if cfg.get('train_dataloader') is None:
        raise InputError(f'{cfg.filename}: no train_dataloader, whose folder has the videos')
    held_out = inner_datasets(cfg.test_dataloader.dataset)[0]
    calibrating = dict(inner_datasets(cfg.train_dataloader.dataset)[0], ann_file=videos)
    if Path(videos).resolve() == Path(held_out.ann_file).resolve():
        raise InputError(f'{videos}: calibrate with other videos than those of the test')
    quantization, runtime = map(import_module, ('onnxruntime.quantization', 'onnxruntime'))
    preparation = import_module('onnxruntime.quantization.shape_inference')
    with TemporaryDirectory(dir=path.parent, prefix='.') as folder:
        folded, quantised = Path(folder, 'folded.onnx'), Path(folder, 'quantised.onnx')
        preparation.quant_pre_process(path, folded, skip_symbolic_shape=True)
        found = (feed for feed, _ in feeds(calibrating, cfg, clips, CALIBRATION))
        if (first := next(found, None)) is None:
            raise InputError(f'{videos}: none of its videos decodes: int8 needs some to calibrate')
        remaining = chain([first], found)
        reader = SimpleNamespace(get_next=lambda: next(remaining, None))
        options = dict(
            activation_type=quantization.QuantType.QUInt8,  # QInt8 is slow in 3D on x86
            per_channel=True,
            op_types_to_quantize=['Conv'],
        )
        quantization.quantize_static(folded, quantised, reader, **options)  # QDQ by default
        sessions = [
            runtime.InferenceSession(file, providers=['CPUExecutionProvider'])
            for file in (path, quantised)
        ]
        right = [
            [int(session.run(None, feed)[0].argmax()) in labels for session in sessions]
            for feed, labels in feeds(held_out, cfg, clips, HELD_OUT)
            if labels
        ]
        if not right:
            raise InputError(f'{held_out.ann_file}: no video with a label decodes: int8 needs them')
        before, after = 100 * np.mean(right, 0)
        if not before - after <= MAX_DROP:
            raise InputError(
                f'{path}: not written: int8 has {after:.1f}% of the test right and float32 '
                f'{before:.1f}%: a drop of more than {MAX_DROP} points'
            )
        quantised.replace(path)
    return before, after


def feeds(
    dataset: Any, cfg: Config, clips: int | None, limit: int
) -> Iterator[tuple[Feed, frozenset[int]]]:
    """Yield model inputs and labels of videos spread evenly over a dataset."""
    built = DATASETS.build(dict(dataset, pipeline=one_crop_pipeline(cfg, clips), test_mode=True))
    for index in np.linspace(0, len(built) - 1, min(limit, len(built))).round().astype(int):
        item = built[int(index)]
        if 'inputs' not in item:  # on_error='skip', and the video does not decode
            continue
        inputs = named_inputs(pseudo_collate([item]), clips)
        labels = labels_of(item['data_samples'].to_dict())
        yield {name: x.numpy() for name, x in inputs.items()}, labels

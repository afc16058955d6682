"""Export a recognizer to one ONNX or torch.export file that runs without this package.

The file includes normalisation, softmax (or the task's other scores) and the mean over clips: it
maps clips of pixels to scores. A file is kept only if its scores match the recognizer's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from torch.export import ExportedProgram

from .._atomic import atomic_write
from .._errors import InputError
from ..datasets.pipelines import SAMPLERS, Pipeline, name_of
from ..models.accelerate import AcceleratedConv3d, accelerate
from ..models.tasks import check_classes, task_of
from ..models.two_stream import TwoStreamHead
from ..version import __version__
from .class_names import known_names
from .export_int8 import quantize
from .recognizer import load_recognizer
from .scores import check_finite
from .video_inputs import build_pipeline, named_inputs, one_crop_pipeline, pipeline_of

TOLERANCE = 1e-4  # of score differences, relative to the largest score; rounding causes up to 4e-6
TRACED_BATCH, CHECKED_BATCHES = 2, (1, 3)  # videos


def export_recognizer(
    cfg: Config,
    checkpoint: str,
    path: Path,
    clips: int | None = None,
    conv2d: bool = False,
    int8: str | None = None,
) -> tuple[dict[str, Any], float]:
    """Export a recognizer to one file, ``.onnx`` (ONNX) or ``.pt2`` (torch.export).

    The file's inputs are float32 clips that are not normalised, N x C x T x H x W for any N: RGB
    from 0 to 255 (``imgs``), flow in pixels (``flow``), or both in this order. T, H and W are those
    of the test pipeline. With ``clips``, the file takes that many clips of each video,
    N x clips x C x T x H x W, and averages their scores. Its output is the head's scores,
    N x classes; the metadata name the ``classes``.

    With ``conv2d``, batch norms are folded, and convolutions that span one frame or one pixel
    become 2D convolutions over folded axes. The scores are the same, and runtimes have faster
    kernels for 2D.

    With ``int8``, a list of calibration videos, an ONNX file is quantised after the scores are
    checked (see :mod:`~r21d_plugin.inference.export_int8`). The returned metadata then have
    ``accuracy``: top-1 of ``float32`` and ``int8`` on videos of the test, in per cent.

    Returns:
        tuple[dict, float]: The metadata in the file, and the largest difference between its scores
        and the recognizer's on videos of noise, relative to the largest score.

    Raises:
        InputError: If an argument is wrong, the file cannot be written, or its scores differ.
    """
    if path.suffix not in FORMATS:
        raise InputError(f'{path}: end the name in .onnx (ONNX) or .pt2 (torch.export)')
    if int8 is not None and path.suffix != '.onnx':
        raise InputError(f'{path}: int8 needs ONNX: end the name in .onnx')
    needed = ('onnx', 'onnxscript', 'onnxruntime') if path.suffix == '.onnx' else ()
    if missing := [name for name in needed if find_spec(name) is None]:
        raise InputError(f"ONNX needs {', '.join(missing)}: pip install 'r21d_plugin[export]'")
    if clips is not None and clips < 1:
        raise InputError(f'{clips} clips of a video: there has to be at least 1')
    cfg = deepcopy(cfg)
    cfg.model.test_cfg = None  # the file always computes in float32
    recognizer = load_recognizer(cfg, checkpoint, torch.device('cpu')).requires_grad_(False)
    if int8 is not None:
        check_classes(recognizer.cls_head)
    videos = noise_videos(cfg, clips)
    inputs = named_inputs(videos, clips)
    scorer = ClipScores(recognizer, inputs, clips)
    expected = torch.stack([sample.pred_score for sample in recognizer.test_step(videos)])
    check_finite(expected, checkpoint)
    metadata = metadata_of(cfg, scorer, inputs)
    if conv2d:
        use_conv2d(recognizer)
    if names := known_names(cfg, checkpoint, recognizer.dataset_meta.get('classes', ())):
        metadata['classes'] = names
    with atomic_write(path, parents=True) as partial:
        partial.touch()  # fail before the work if the file cannot be written
        partial.write_bytes(FORMATS[path.suffix](trace(scorer, inputs.values()), metadata))
        batches = [{key: x[:size] for key, x in inputs.items()} for size in CHECKED_BATCHES]
        errors = [(x - expected[: len(x)]).abs().max() for x in run_file(partial, batches)]
        difference = float(torch.stack(errors).max() / expected.abs().max())
        if not difference <= TOLERANCE:  # also true for NaN
            raise InputError(
                f"{path}: not written: its scores differ from the recognizer's by up to "
                f'{difference:.1e} of the largest, more than the {TOLERANCE} that rounding may make'
            )
        if int8 is not None:
            before, after = quantize(partial, cfg, clips, int8)
            metadata['accuracy'] = dict(float32=before, int8=after)
    return metadata, difference


class ClipScores(nn.Module):
    """``clips -> normalisation -> backbone -> head -> scores -> mean over clips``."""

    def __init__(self, model: BaseRecognizer, streams: Iterable[str], clips: int | None) -> None:
        super().__init__()
        head, whole = model.cls_head, model.data_preprocessor
        if (mode := head.average_clips) != 'prob':
            raise InputError(f"cls_head.average_clips={mode!r}: only 'prob' is exported")
        self.recognizer, self.clips = model, clips
        self.fuse = head.fuse if isinstance(head, TwoStreamHead) else nn.Identity()
        by_stream = dict(getattr(whole, 'preprocessors', {}))
        self.preprocessors = {name: by_stream.get(name, whole) for name in streams}

    def forward(self, *streams: Tensor) -> Tensor:
        """Map the clips of each stream, N (x clips) x C x T x H x W, to scores, N x classes."""
        normalised = {
            name: ((x if self.clips else x.unsqueeze(1)) - processor.mean) / processor.std
            for (name, processor), x in zip(self.preprocessors.items(), streams)
        }
        inputs = normalised if len(streams) > 1 else next(iter(normalised.values()))
        logits = self.recognizer(inputs, mode='tensor', stage='head')
        head = self.recognizer.cls_head
        scores: Tensor = head.average_clip(self.fuse(logits), self.clips or 1)
        return scores


class Conv2d(AcceleratedConv3d):
    """2D convolution over folded axes that replaces a 3D one spanning one frame or one pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve N x C x T x H x W."""
        (t, *step), padding = self.stride, self.padding
        if self.kernel_size[0] > 1:  # over time: N images, T x (H W)
            over_time: Any = (t, 1), (padding[0], 0)
            y = F.conv2d(x.flatten(3), self.weight.squeeze(4), self.bias, *over_time)
            out: Tensor = y.unflatten(3, x.shape[3:])
            return out
        frames = (x[:, :, ::t] if t > 1 else x).transpose(1, 2)
        over_space: Any = step, padding[1:]
        y = F.conv2d(frames.flatten(0, 1), self.weight.squeeze(2), self.bias, *over_space)
        out = y.unflatten(0, frames.shape[:2])
        return out.transpose(1, 2)


@torch.no_grad()
def use_conv2d(model: nn.Module) -> None:
    """Fold batch norms, and use 2D convolutions where the result is the same, in place."""
    for conv in [m for m in accelerate(model).modules() if isinstance(m, AcceleratedConv3d)]:
        if conv.pair is not None and (norm := conv.pair.norm_to_fold(conv)) is not None:
            weight, bias = conv.fold(norm)
            conv.weight, conv.bias = (nn.Parameter(x, requires_grad=False) for x in (weight, bias))
            parent, _, name = conv.pair.norm.rpartition('.')
            setattr(conv.pair.sequence.get_submodule(parent), name, nn.Identity())
        time, *space = zip(conv.kernel_size, conv.stride, conv.padding)
        if time[::2] == (1, 0) or set(space) == {(1, 1, 0)}:
            conv.__class__ = Conv2d


def noise_videos(cfg: Config, clips: int | None) -> dict[str, Any]:
    """Make videos of noise, packed as for a test."""
    from_files: dict[str, Any] = dict(FarnebackFlow=dict(root=None), ReadFrames=dict(decode=True))
    pipeline = one_crop_pipeline(cfg, clips)
    pack = build_pipeline([{**step, **from_files.get(name_of(step), {})} for step in pipeline])
    rng, count = np.random.default_rng(0), max(TRACED_BATCH, *CHECKED_BATCHES)
    noise = rng.integers(0, 256, (count, 64, 128, 171, 3), np.uint8)
    brightness = rng.random((count, 64, 1, 1, 1), np.float32)  # makes the clips differ
    info = dict(filename='noise', modality='RGB', label=0)
    info.update(total_frames=64, start_index=0, avg_fps=30.0)
    arrays = (brightness * noise).astype(np.uint8)
    videos: dict[str, Any] = pseudo_collate([pack(dict(info, array=frames)) for frames in arrays])
    return videos


def metadata_of(cfg: Config, scorer: ClipScores, inputs: dict[str, Tensor]) -> dict[str, Any]:
    """Build the metadata of a file, from types that JSON supports."""
    classes = scorer.recognizer.cls_head.num_classes
    pipeline = preprocessing_of(pipeline_of(cfg))
    colour = f'{pipeline["colour"]}, 0 to 255'
    content = task_of(scorer.recognizer.cls_head).content
    content += f', mean over {scorer.clips} clips' if scorer.clips else ''
    return dict(
        config=Path(cfg.filename).stem,
        r21d_plugin=__version__,
        clip_len=next(iter(inputs.values())).shape[-3],
        num_clips=scorer.clips or 1,
        num_classes=classes,
        preprocessing=pipeline,
        inputs={
            name: dict(
                shape=['batch', *inputs[name].shape[1:]],
                content=colour if name == 'imgs' else 'optical flow in pixels',
                # Via text, which gives the decimal digits of the config, not those of float64.
                mean=[float(str(value)) for value in processor.mean.flatten().numpy()],
                std=[float(str(value)) for value in processor.std.flatten().numpy()],
            )
            for name, processor in scorer.preprocessors.items()
        },
        outputs=dict(scores=dict(shape=['batch', classes], content=content)),
    )


def preprocessing_of(pipeline: Pipeline) -> dict[str, Any]:
    """Describe how a test pipeline samples, resizes and crops frames.

    ``resize`` is width and height, or -1 and the shorter side. ``frame_interval`` counts frames of
    the video or, with ``target_fps``, frames at that rate.
    """
    steps = {name_of(step): step for step in pipeline}
    sampling = next(steps[name] for name in SAMPLERS if name in steps)
    read: dict[str, Any] = steps.get('ReadFrames', {})
    found = dict(
        colour='gray' if 'ToGray' in steps else 'RGB',
        frame_interval=sampling.get('frame_interval', 1),
        target_fps=sampling.get('target_fps'),
        resize=steps.get('Resize', read).get('scale'),
        interpolation=steps.get('Resize', read).get('interpolation', 'bilinear'),
        crop=steps.get('CenterCrop', {}).get('crop_size'),
    )
    return {key: value for key, value in found.items() if value is not None}


def trace(scorer: ClipScores, inputs: Iterable[Tensor]) -> ExportedProgram:
    """Trace the network on a few of the inputs, with a dynamic batch size."""
    few = tuple(clips[:TRACED_BATCH] for clips in inputs)
    shapes = dict(streams=({0: torch.export.Dim('batch')},) * len(few))
    with torch.no_grad():
        program = torch.export.export(scorer.eval(), few, dynamic_shapes=shapes)
    program.example_inputs = None  # otherwise the file would store them
    for node in program.graph.nodes:
        node.meta.pop('stack_trace', None)  # contains local paths
    return program


def to_onnx(program: ExportedProgram, metadata: dict[str, Any]) -> bytes:
    """Convert a traced network to an ONNX file."""
    onnx: Any = torch.onnx.export(
        program,
        dynamic_shapes=(({0: 'batch'},) * len(metadata['inputs']),),  # names the dynamic axis
        input_names=list(metadata['inputs']),
        output_names=list(metadata['outputs']),
        verbose=False,
    )
    for key, value in metadata.items():
        onnx.model.metadata_props[key] = value if isinstance(value, str) else json.dumps(value)
    proto = onnx.model_proto
    import_module('onnx').checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString()
    return content


def to_pt2(program: ExportedProgram, metadata: dict[str, Any]) -> bytes:
    """Convert a traced network to a torch.export file."""
    buffer = BytesIO()
    torch.export.save(program, buffer, extra_files={'metadata.json': json.dumps(metadata)})
    return buffer.getvalue()


FORMATS = {'.onnx': to_onnx, '.pt2': to_pt2}


def run_file(path: Path, batches: list[dict[str, Tensor]]) -> list[Tensor]:
    """Load a file with ONNX Runtime or torch, and score batches of clips by stream."""
    if path.suffix == '.pt2':
        network = torch.export.load(path).module()
        return [network(*clips.values()) for clips in batches]
    runtime = import_module('onnxruntime')
    session = runtime.InferenceSession(path, providers=['CPUExecutionProvider'])
    feeds = [{name: x.numpy() for name, x in clips.items()} for clips in batches]
    return [torch.from_numpy(session.run(None, feed)[0]) for feed in feeds]

"""Export a recognizer to one ONNX or torch.export file that runs without this package.

Normalisation, softmax and the mean over clips are inside the file: it takes clips as they are cut
from a video and gives scores. A file is kept only if its scores are the recognizer's.
"""

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import decord
import numpy as np
import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from torch.export import ExportedProgram

from .._atomic import atomic_write
from .._errors import InputError
from ..datasets.pipelines import find_transform, update_transform
from ..models.two_stream import TwoStreamHead
from ..version import __version__
from .recognizer import load_recognizer
from .video_inputs import build_pipeline, pipeline_of

TOLERANCE = 1e-4
"""Accepted difference of scores, relative to the largest one; rounding makes up to 4e-6."""

TRACED_BATCH, CHECKED_BATCHES = 2, (1, 3)  # videos

Run = Callable[[Sequence[np.ndarray]], np.ndarray]
"""A loaded file: a function from the clips of each stream to scores, N x classes."""


def export_recognizer(
    cfg: Config, checkpoint: str, path: Path, clips: int | None = None
) -> tuple[dict[str, Any], float]:
    """Export a recognizer to one file, written atomically.

    Its inputs are float32 and not normalised, N x C x T x H x W for any N: RGB in 0..255
    (``imgs``) or flow in pixels (``flow``), of two streams first the one, then the other. T, H
    and W are those of the config's test pipeline. Its output is softmax scores, N x classes.

    Args:
        cfg (Config): The config.
        checkpoint (str): As :func:`load_recognizer` takes it.
        path (Path): File to write: ``.onnx`` (ONNX) or ``.pt2`` (torch.export).
        clips (int, optional): Clips of a video, over which scores are averaged: inputs are N x
            clips x C x T x H x W then. Defaults to None: one clip, without that axis.

    Returns:
        tuple[dict, float]: The metadata in the file, and the largest difference of its scores
        from the recognizer's on videos of noise, relative to the largest score.

    Raises:
        InputError: If an argument is wrong, the file cannot be written, or its scores differ from
            the recognizer's.
    """
    to_bytes, load = format_of(path)
    if clips is not None and clips < 1:
        raise InputError(f'{clips} clips of a video: there has to be at least 1')
    recognizer = load_recognizer(cfg, checkpoint, torch.device('cpu')).requires_grad_(False)
    videos = noise_videos(cfg, max(TRACED_BATCH, *CHECKED_BATCHES), clips or 1)
    expected = recognizer.test_step(pseudo_collate(videos))
    expected = torch.stack([sample.pred_score for sample in expected]).numpy()
    streams = stack_streams([video['inputs'] for video in videos])
    scorer = ClipScores(recognizer, list(streams), clips)
    metadata = metadata_of(cfg, scorer, streams)
    inputs = [x.float() if clips else x.float().squeeze(1) for x in streams.values()]
    with atomic_write(path, parents=True) as partial, silence_exporters():
        partial.touch()  # fails now rather than after the work
        partial.write_bytes(to_bytes(trace(scorer, inputs), metadata))
        run = load(partial)
        errors = [
            np.abs(run([x[:size].numpy() for x in inputs]) - expected[:size]).max()
            for size in CHECKED_BATCHES
        ]
        difference = float(np.max(errors) / expected.max())
        if not difference <= TOLERANCE:  # NaN too is refused
            raise InputError(
                f"{path}: not written: its scores differ from the recognizer's by up to "
                f'{difference:.1e} of the largest, more than the {TOLERANCE} that rounding may make'
            )
    return metadata, difference


class ClipScores(nn.Module):
    """``clips -> normalisation -> backbone -> head -> softmax -> mean over clips``.

    Args:
        recognizer (BaseRecognizer): The recognizer.
        streams (Sequence[str]): Its streams, of ``imgs`` and ``flow``.
        clips (int, optional): Clips of a video. None: one, without an axis.
    """

    def __init__(
        self, recognizer: BaseRecognizer, streams: Sequence[str], clips: int | None
    ) -> None:
        super().__init__()
        head = recognizer.cls_head
        if head.average_clips != 'prob':
            raise InputError(
                f'cls_head.average_clips={head.average_clips!r}: only softmax scores are '
                "exported: set it to 'prob'"
            )
        self.recognizer = recognizer
        self.clips = clips
        self.fuse = head.fuse if isinstance(head, TwoStreamHead) else nn.Identity()
        whole = recognizer.data_preprocessor
        by_stream = dict(getattr(whole, 'preprocessors', {}))
        self.preprocessors = {name: by_stream.get(name, whole) for name in streams}

    def forward(self, *streams: Tensor) -> Tensor:
        """Score (N x classes) the clips of each stream, N (x clips) x C x T x H x W."""
        normalised = {
            name: ((x if self.clips else x.unsqueeze(1)) - processor.mean) / processor.std
            for (name, processor), x in zip(self.preprocessors.items(), streams, strict=True)
        }
        inputs = normalised if len(streams) > 1 else next(iter(normalised.values()))
        logits = self.recognizer(inputs, mode='tensor', stage='head')
        return self.recognizer.cls_head.average_clip(self.fuse(logits), self.clips or 1)


def noise_videos(cfg: Config, count: int, clips: int) -> list[dict]:
    """Videos of noise, as the test pipeline of a config packs videos."""
    pipeline = update_transform(pipeline_of(cfg), 'SampleClips', num_clips=clips)
    del pipeline[find_transform(pipeline, 'DecordClipInit')]
    pack = build_pipeline(pipeline)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (count, 64, 128, 171, 3), np.uint8)
    brightness = rng.random((count, 64, 1, 1, 1), np.float32)  # or clips look much the same
    info = dict(filename='noise', total_frames=64, start_index=0, modality='RGB', label=0)
    return [
        pack(dict(info, video_reader=[decord.nd.array(frame) for frame in frames]))
        for frames in (brightness * noise).astype(np.uint8)
    ]


def stack_streams(inputs: Sequence[Any]) -> dict[str, Tensor]:
    """Stack the packed inputs of videos: N x clips x C x T x H x W by ``imgs`` and ``flow``."""
    if isinstance(inputs[0], dict):
        return {name: torch.stack([video[name] for video in inputs]) for name in inputs[0]}
    clips = torch.stack(list(inputs))
    return {'imgs' if clips.dtype == torch.uint8 else 'flow': clips}


def metadata_of(cfg: Config, scorer: ClipScores, streams: dict[str, Tensor]) -> dict[str, Any]:
    """Metadata of a file, in types that JSON has."""
    inputs = {
        name: dict(
            shape=['batch', *clips.shape[1 if scorer.clips else 2 :]],
            content='RGB, 0 to 255' if name == 'imgs' else 'optical flow in pixels',
            # By way of text, which has no more digits than the config.
            mean=[float(str(value)) for value in processor.mean.flatten().numpy()],
            std=[float(str(value)) for value in processor.std.flatten().numpy()],
        )
        for (name, clips), processor in zip(
            streams.items(), scorer.preprocessors.values(), strict=True
        )
    }
    classes = scorer.recognizer.cls_head.num_classes
    content = f'softmax, mean over {scorer.clips} clips' if scorer.clips else 'softmax'
    return dict(
        config=Path(cfg.filename).stem,
        r21d_plugin=__version__,
        clip_len=next(iter(streams.values())).shape[3],
        num_clips=scorer.clips or 1,
        num_classes=classes,
        inputs=inputs,
        outputs=dict(scores=dict(shape=['batch', classes], content=content)),
    )


def trace(scorer: ClipScores, inputs: Sequence[Tensor]) -> ExportedProgram:
    """Trace the network on some of the inputs, for any batch size."""
    shapes = dict(streams=({0: torch.export.Dim('batch')},) * len(inputs))
    few = tuple(clips[:TRACED_BATCH] for clips in inputs)
    with torch.no_grad():
        program = torch.export.export(scorer.eval(), few, dynamic_shapes=shapes)
    program.example_inputs = None  # or the file holds them too
    for node in program.graph.nodes:
        node.meta.pop('stack_trace', None)  # paths of this machine
    return program


def to_onnx(program: ExportedProgram, metadata: dict[str, Any]) -> bytes:
    """Convert a traced network to an ONNX file."""
    onnx: Any = torch.onnx.export(
        program,
        dynamic_shapes=(({0: 'batch'},) * len(metadata['inputs']),),  # only names the axis
        input_names=list(metadata['inputs']),
        output_names=list(metadata['outputs']),
        verbose=False,
    )
    for key, value in metadata.items():
        onnx.model.metadata_props[key] = value if isinstance(value, str) else json.dumps(value)
    return onnx.model_proto.SerializeToString()


def load_onnx(path: Path) -> Run:
    """Load an ONNX file into ONNX Runtime."""
    runtime = import_module('onnxruntime')
    session = runtime.InferenceSession(path, providers=['CPUExecutionProvider'])
    names = [value.name for value in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0]


def to_pt2(program: ExportedProgram, metadata: dict[str, Any]) -> bytes:
    """Convert a traced network to a torch.export file."""
    buffer = BytesIO()
    torch.export.save(program, buffer, extra_files={'metadata.json': json.dumps(metadata)})
    return buffer.getvalue()


def load_pt2(path: Path) -> Run:
    """Load a torch.export file."""
    network = torch.export.load(path).module()
    return lambda inputs: network(*map(torch.from_numpy, inputs)).numpy()


FORMATS = {'.onnx': (to_onnx, load_onnx), '.pt2': (to_pt2, load_pt2)}


def format_of(path: Path) -> tuple[Callable[..., bytes], Callable[[Path], Run]]:
    """Functions that make and that load a file, by its suffix.

    Raises:
        InputError: If there is no such format, or a package that it needs is not installed.
    """
    if path.suffix not in FORMATS:
        raise InputError(f'{path}: end the name in .onnx (ONNX) or .pt2 (torch.export)')
    needed = ('onnx', 'onnxscript', 'onnxruntime') if path.suffix == '.onnx' else ()
    if missing := [name for name in needed if find_spec(name) is None]:
        raise InputError(
            f"{path}: ONNX needs {', '.join(missing)}: pip install 'r21d_plugin[export]', "
            'or export to .pt2'
        )
    return FORMATS[path.suffix]


@contextmanager
def silence_exporters() -> Iterator[None]:
    """Suppress the warnings and log lines of exporters."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action='ignore'):
            yield
    finally:
        logging.disable(level)

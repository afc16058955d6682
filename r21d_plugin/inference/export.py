"""A recognizer as one file that runs without this package.

Normalisation, softmax and the mean over clips are inside the file: it takes
clips as they are cut from a video and gives scores. It is kept only if these
are the recognizer's own.
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
from typing import Any, NamedTuple, cast

import decord
import numpy as np
import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from torch import Tensor, nn
from torch.export import ExportedProgram

from .._atomic import written_whole
from .._errors import InputError
from ..datasets.pipelines import changed, with_sampling
from ..models.two_stream import TwoStreamHead
from ..version import __version__
from .recognizer import load_recognizer

TOLERANCE = 1e-4
"""How far a score may be from the recognizer's, as a share of the largest score.

Rounding was seen to make up to 4e-6 of it.
"""

TRACED_BATCH = 2
CHECKED_BATCHES = (1, 3)
"""Videos in the batches that a file is checked on: not as many as it was traced with."""

Run = Callable[[Sequence[np.ndarray]], np.ndarray]
"""What is in a file: a function from its inputs to scores, N x classes."""


class Exported(NamedTuple):
    """What was written.

    Attributes:
        metadata (dict): What the file says about itself.
        difference (float): Largest difference of its scores from the
            recognizer's, on videos of noise.
        largest (float): Largest of these scores.
    """

    metadata: dict[str, Any]
    difference: float
    largest: float


def export_recognizer(
    cfg: Config, checkpoint: str, path: Path, clips: int | None = None
) -> Exported:
    """Write a recognizer into a file that runs without this package.

    Its inputs are float32 and not normalised, N x C x T x H x W for any N: RGB
    in 0..255 (``imgs``) or flow in pixels (``flow``), of two streams first the
    one, then the other. T, H and W are those of the config's test pipeline.
    Its output is softmax scores, N x classes.

    Args:
        cfg (Config): The config.
        checkpoint (str): As :func:`load_recognizer` takes it.
        path (Path): File to write, which appears when it is complete and
            checked. Its suffix is one of :data:`FORMATS`.
        clips (int, optional): Clips of a video, over which scores are
            averaged: inputs are N x clips x C x T x H x W then. Defaults to
            None: one clip, without that axis.

    Returns:
        Exported: What was written.

    Raises:
        InputError: If something given is wrong, the file cannot be written,
            or its scores are not the recognizer's.
    """
    form = format_of(path)
    if clips is not None and clips < 1:
        raise InputError(f'{clips} clips of a video: there has to be at least 1')
    recognizer = load_recognizer(cfg, checkpoint, torch.device('cpu')).requires_grad_(False)
    videos = videos_of_noise(cfg, max(TRACED_BATCH, *CHECKED_BATCHES), clips or 1)
    predicted = recognizer.test_step(pseudo_collate(videos))
    scores = ClipScores(recognizer, clips)
    metadata = describe(cfg, scores, videos[0])
    with written_whole(path, parents=True) as partial, quiet():
        partial.touch()  # fails now rather than after the work
        inputs = scores.inputs(videos)
        partial.write_bytes(form.pack(trace(scores, inputs), metadata))
        own = torch.stack([sample.pred_score for sample in predicted]).numpy()
        difference = largest_difference(form.load(partial), inputs, own)
        allowed = TOLERANCE * own.max()
        if not difference <= allowed:  # nor if it is NaN
            raise InputError(
                f"{path}: not written: its scores differ from the recognizer's by up to "
                f'{difference:.1e}, more than the {allowed:.1e} that rounding may make'
            )
    return Exported(metadata, difference, float(own.max()))


class ClipScores(nn.Module):
    """``clips -> normalisation -> backbone -> head -> softmax -> mean over clips``.

    Args:
        recognizer (BaseRecognizer): The recognizer.
        clips (int, optional): Clips of a video. None: one, without an axis.

    Raises:
        InputError: If the recognizer does not predict such scores.
    """

    def __init__(self, recognizer: BaseRecognizer, clips: int | None) -> None:
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
        self.preprocessors = dict(getattr(whole, 'preprocessors', {'imgs': whole}))

    def forward(self, *streams: Tensor) -> Tensor:
        """Score a batch of videos.

        Args:
            *streams (Tensor): Clips of each stream, N x clips x C x T x H x W,
                or N x C x T x H x W if there is no axis of clips.

        Returns:
            Tensor: N x classes.
        """
        normalised = {
            name: ((x if self.clips else x.unsqueeze(1)) - processor.mean) / processor.std
            for (name, processor), x in zip(self.preprocessors.items(), streams, strict=True)
        }
        inputs = normalised if len(streams) > 1 else normalised['imgs']
        logits = self.recognizer(inputs, mode='tensor', stage='head')
        return self.recognizer.cls_head.average_clip(self.fuse(logits), self.clips or 1)

    def inputs(self, videos: Sequence[dict]) -> list[Tensor]:
        """Batch of videos as :meth:`forward` takes it.

        Args:
            videos (Sequence[dict]): As the pipeline packs them.

        Returns:
            list[Tensor]: Clips of each stream, float32.
        """
        batches = [
            torch.stack([clips_of(video, name) for video in videos]).float()
            for name in self.preprocessors
        ]
        return batches if self.clips else [batch.squeeze(1) for batch in batches]


def clips_of(video: dict, stream: str) -> Tensor:
    """Clips of a stream of a packed video, clips x C x T x H x W."""
    inputs = video['inputs']
    return inputs[stream] if isinstance(inputs, dict) else inputs


def videos_of_noise(cfg: Config, count: int, clips: int) -> list[dict]:
    """Pack noise as the test pipeline of a config packs videos.

    Each frame is of another brightness and contrast, or all clips would look
    much the same to a network.

    Args:
        cfg (Config): The config.
        count (int): Videos.
        clips (int): Clips of each.

    Raises:
        InputError: If the pipeline is not one of this package.
    """
    pipeline = with_sampling(cfg.test_dataloader.dataset.pipeline, num_clips=clips)
    pack = Compose(changed(pipeline, 'DecordClipInit', lambda _: []))
    rng = np.random.default_rng(0)
    videos = []
    for _ in range(count):
        brightness = rng.random((64, 1, 1, 1), np.float32)
        frames = brightness * rng.integers(0, 256, (64, 128, 171, 3), np.uint8)
        reader = [decord.nd.array(frame) for frame in frames.astype(np.uint8)]
        results = dict(filename='noise', video_reader=reader, total_frames=len(reader))
        videos.append(pack(dict(results, start_index=0, modality='RGB', label=0)))
    return videos


def describe(cfg: Config, scores: ClipScores, video: dict) -> dict[str, Any]:
    """What a file says about itself, in types that JSON has.

    Args:
        cfg (Config): The config.
        scores (ClipScores): The network.
        video (dict): A video as the pipeline packs it.
    """
    inputs = {}
    for stream, processor in scores.preprocessors.items():
        clips = clips_of(video, stream)
        rgb = clips.dtype == torch.uint8
        inputs['imgs' if rgb else 'flow'] = dict(
            shape=['batch', *clips.shape[0 if scores.clips else 1 :]],
            content='RGB, 0 to 255' if rgb else 'optical flow in pixels',
            # By way of text, which has no more digits than the config.
            mean=[float(str(value)) for value in processor.mean.flatten().numpy()],
            std=[float(str(value)) for value in processor.std.flatten().numpy()],
        )
    classes = scores.recognizer.cls_head.num_classes
    content = f'softmax, mean over {scores.clips} clips' if scores.clips else 'softmax'
    return dict(
        config=Path(cfg.filename).stem,
        r21d_plugin=__version__,
        clip_len=clips.shape[2],
        num_clips=scores.clips or 1,
        num_classes=classes,
        inputs=inputs,
        outputs=dict(scores=dict(shape=['batch', classes], content=content)),
    )


def trace(scores: ClipScores, inputs: Sequence[Tensor]) -> ExportedProgram:
    """Trace the network on some of the inputs, for any number of them."""
    shapes = dict(streams=({0: torch.export.Dim('batch')},) * len(inputs))
    few = tuple(clips[:TRACED_BATCH] for clips in inputs)
    with torch.no_grad():
        program = torch.export.export(scores.eval(), few, dynamic_shapes=shapes)
    program.example_inputs = None  # or the file holds them too
    for node in program.graph.nodes:
        node.meta.pop('stack_trace', None)  # paths of this machine
    return program


def largest_difference(run: Run, inputs: Sequence[Tensor], own: np.ndarray) -> float:
    """How far the scores of a file are from the recognizer's.

    Args:
        run (Callable): The file.
        inputs (Sequence[Tensor]): Clips of each stream.
        own (ndarray): The recognizer's scores, N x classes.
    """
    differences = [
        run([clips[:size].numpy() for clips in inputs]) - own[:size] for size in CHECKED_BATCHES
    ]
    return float(np.abs(np.concatenate(differences)).max())


def pack_onnx(program: ExportedProgram, metadata: dict[str, Any]) -> bytes:
    """ONNX of a traced network."""
    inputs = metadata['inputs']
    exported = torch.onnx.export(
        program,
        dynamic_shapes=(({0: 'batch'},) * len(inputs),),  # only names the axis
        input_names=list(inputs),
        output_names=list(metadata['outputs']),
        verbose=False,
    )
    onnx_program = cast(torch.onnx.ONNXProgram, exported)
    for key, value in metadata.items():
        text = value if isinstance(value, str) else json.dumps(value)
        onnx_program.model.metadata_props[key] = text
    return onnx_program.model_proto.SerializeToString()


def load_onnx(path: Path) -> Run:
    """Load an ONNX file into ONNX Runtime."""
    session = import_module('onnxruntime').InferenceSession(
        path, providers=['CPUExecutionProvider']
    )
    names = [value.name for value in session.get_inputs()]
    return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0]


def pack_program(program: ExportedProgram, metadata: dict[str, Any]) -> bytes:
    """torch.export's file of a traced network."""
    buffer = BytesIO()
    torch.export.save(program, buffer, extra_files={'metadata.json': json.dumps(metadata)})
    return buffer.getvalue()


def load_program(path: Path) -> Run:
    """Load torch.export's file."""
    network = torch.export.load(path).module()
    return lambda inputs: network(*map(torch.from_numpy, inputs)).numpy()


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        packages (tuple[str, ...]): What it needs beyond torch.
        pack (Callable): Function from a traced network and its metadata to the
            content of the file.
        load (Callable): Loads the file.
    """

    packages: tuple[str, ...]
    pack: Callable[[ExportedProgram, dict[str, Any]], bytes]
    load: Callable[[Path], Run]


FORMATS = {
    '.onnx': Format(('onnx', 'onnxscript', 'onnxruntime'), pack_onnx, load_onnx),
    '.pt2': Format((), pack_program, load_program),
}
"""Formats by the suffix of a file."""


def format_of(path: Path) -> Format:
    """Format that the suffix of a file asks for.

    Raises:
        InputError: If there is no such format, or what it needs is not
            installed.
    """
    if path.suffix not in FORMATS:
        raise InputError(f'{path}: end the name in .onnx (ONNX) or .pt2 (torch.export)')
    form = FORMATS[path.suffix]
    if missing := [name for name in form.packages if find_spec(name) is None]:
        raise InputError(
            f"{path}: ONNX needs {', '.join(missing)}: pip install 'r21d_plugin[export]', "
            'or export to .pt2'
        )
    return form


@contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters from reporting on their own affairs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(disabled)

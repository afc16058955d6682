"""Measures and contestants of the speed benchmark."""

from __future__ import annotations

import time
from contextlib import suppress
from copy import deepcopy
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Callable, Dict, NamedTuple

import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode
from turns import take_turns

from r21d_plugin import accelerate, create_model
from r21d_plugin.models.accelerate import has_fast_bfloat16
from tools.complexity import measure as complexity

Task = Callable[[], Tensor]
Tasks = Dict[str, Task]
"""Tasks of the contestants, by name: peers first, then ``'ours'``."""

PLAIN = 'PyTorch 3D'
"""The same network with PyTorch's 3D convolutions, contiguous memory and unfolded norms."""

WRONG = ('training', 'bfloat16')
"""Measures that PyTorch computes wrongly on a CPU (see ``bf16_weight_gradient_is_wrong``)."""


class Measure(NamedTuple):
    """A measure."""

    name: str
    kind: str  # a key of KINDS
    network: str  # name for create_model
    clips: int
    frames: int  # per clip


MEASURES = [
    Measure('test of a video, 10 clips x 8', 'test', 'r2plus1d_18', 10, 8),
    Measure('R(2+1)D-18, training, 4 clips x 8', 'training', 'r2plus1d_18', 4, 8),
    Measure('R3D-18, training, 4 clips x 8', 'training', 'r3d_18', 4, 8),
    Measure('R(2+1)D-18, 1 clip x 8', 'forward', 'r2plus1d_18', 1, 8),
    Measure('R(2+1)D-18, 10 clips x 8', 'forward', 'r2plus1d_18', 10, 8),
    Measure('R(2+1)D-18, 10 clips x 16', 'forward', 'r2plus1d_18', 10, 16),
    Measure('R3D-18, 1 clip x 8', 'forward', 'r3d_18', 1, 8),
    Measure('R3D-18, 10 clips x 8', 'forward', 'r3d_18', 10, 8),
    Measure('MC3-18, 10 clips x 8', 'forward', 'mc3_18', 10, 8),
    Measure('R(2+1)D-18, 1 clip x 8, ours in int8', 'int8', 'r2plus1d_18', 1, 8),
    Measure('R(2+1)D-18, 10 clips x 8, ours in int8', 'int8', 'r2plus1d_18', 10, 8),
    Measure('R(2+1)D-34, 1 clip x 8, per GFLOP', 'equal work', 'r2plus1d_34', 1, 8),
    Measure('R(2+1)D-34, 10 clips x 8, per GFLOP', 'equal work', 'r2plus1d_34', 10, 8),
]


def run(
    measure: Measure, dtype: str, kept: bool, threads: int, repeats: int, video: str
) -> dict[str, Any]:
    """Measure in this process.

    Args:
        measure (Measure): What to measure.
        dtype (str): Dtype of all contestants, ``'float32'`` or ``'bfloat16'``.
        kept (bool): Whether this process, and so each contestant, keeps freed memory.
        threads (int): Threads per contestant. With 1, CPU time is measured, else elapsed time.
        repeats (int): Number of turns, in each of which every contestant is measured once.
        video (str): Video to test.

    Returns:
        dict: By contestant, ``seconds`` of the turns, and ``difference``, the largest difference
        from the first peer relative to the peer's largest value. ``difference`` is empty if the
        peer is ``WRONG`` or the networks differ; in the latter case ``seconds`` are scaled to our
        FLOP count. ``share`` is our rate over that of a large convolution; None if the measure is
        not dominated by arithmetic.
    """
    if kept:
        from r21d_plugin.engine.memory import keep_freed_memory

        keep_freed_memory()
    init_default_scope('mmaction')
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    clock = time.process_time if threads == 1 else time.perf_counter
    tasks = KINDS[measure.kind](measure, dtype, video)
    seconds, results = take_turns(tasks, repeats, clock)
    work = gflop(measure)
    fastest = min(seconds['ours'])
    share = work / fastest / ceiling(dtype, repeats, clock) if work else None
    if measure.kind == 'equal work':
        for name in tasks.keys() - {'ours'}:
            scale = work / flops_of(tasks[name])
            seconds[name] = [value * scale for value in seconds[name]]
    comparable = measure.kind != 'equal work' and (measure.kind, dtype) != WRONG
    return dict(seconds=seconds, difference=differences(results) if comparable else {}, share=share)


def differences(results: dict[str, Tensor]) -> dict[str, float]:
    """Return the largest differences from the first result, relative to its largest value."""
    expected = next(iter(results.values()))
    scale = expected.abs().max().item()
    return {name: (x - expected).abs().max().item() / scale for name, x in results.items()}


def flops_of(task: Task) -> float:
    """Count multiplications and additions of a task, in 10^9."""
    with FlopCounterMode(display=False) as counter:
        task()
    return counter.get_total_flops() / 1e9


def gflop(measure: Measure) -> float:
    """Count multiplications and additions of a measure, in 10^9; backward counts as two forward."""
    passes = dict(test=0, training=3).get(measure.kind, 1)
    return 2 * passes * measure.clips * complexity(measure.network, measure.frames).gflops


def dtypes(measure: Measure) -> list[str]:
    """Return the names of dtypes that are fast on this machine."""
    if measure.kind == 'int8':
        return ['float32'] if find_spec('nncf') else []
    return ['float32', 'bfloat16'] if has_fast_bfloat16() else ['float32']


def in_type(dtype: str) -> torch.autocast:
    """Return the autocast context for a dtype."""
    return torch.autocast('cpu', torch.bfloat16, enabled=dtype == 'bfloat16')


@torch.inference_mode()
def ceiling(dtype: str, repeats: int, clock: Callable[[], float]) -> float:
    """Measure the rate of a large channels-last convolution in GFLOP/s, the best of some calls."""
    kind = getattr(torch, dtype)
    x = torch.randn(32, 128, 56, 56).to(kind).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3).to(kind)
    seconds = []
    for _ in range(repeats + 1):
        start = clock()
        torch.conv2d(x, weight, padding=1)
        seconds.append(clock() - start)
    return 2 * 9 * 128 * x.numel() / min(seconds) / 1e9


def networks(measure: Measure) -> dict[str, nn.Module]:
    """Build a peer's network and ours, with the same weights."""
    theirs = None
    with suppress(ImportError, AttributeError, RuntimeError):
        from torchvision.models import video

        theirs = getattr(video, measure.network)()
    if theirs is None:
        ours = create_model(measure.network, clip_len=measure.frames)
        return {PLAIN: ours, 'ours': accelerate(deepcopy(ours))}
    kwargs: dict = dict(norm_cfg=dict(type='BN3d', eps=1e-5))
    if measure.network.startswith('r2plus1d'):
        kwargs['midplanes'] = 'block'
    ours = create_model(measure.network, clip_len=measure.frames, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return {'torchvision': theirs, 'ours': accelerate(ours)}


def other_networks(measure: Measure) -> dict[str, nn.Module]:
    """Build the networks that others call R(2+1)D, in their configuration, and ours."""
    from mmaction.models import ResNet2Plus1d

    models: dict[str, nn.Module] = {
        'MMAction2 ResNet2Plus1d-34': ResNet2Plus1d(
            depth=34,
            pretrained=None,
            pretrained2d=False,
            norm_eval=False,
            conv_cfg=dict(type='Conv2plus1d'),
            norm_cfg=dict(type='BN3d', eps=1e-3),
            conv1_kernel=(3, 7, 7),
            conv1_stride_t=1,
            pool1_stride_t=1,
            inflate=(1, 1, 1, 1),
            spatial_strides=(1, 2, 2, 2),
            temporal_strides=(1, 2, 2, 2),
        )
    }
    with suppress(ImportError, AttributeError, RuntimeError):
        from pytorchvideo.models.r2plus1d import create_r2plus1d

        # Without its head, whose pooling needs larger clips.
        models['PyTorchVideo r2plus1d-50'] = nn.Sequential(*create_r2plus1d().blocks[:-1])
    return dict(models, ours=accelerate(create_model(measure.network, clip_len=measure.frames)))


def eager_tasks(models: dict[str, nn.Module], clips: Tensor, dtype: str) -> Tasks:
    """Build forward tasks; ours compute the classifier in float32, as in a test."""

    @torch.inference_mode()
    def logits(model: Any, ours: bool) -> Tensor:
        with in_type(dtype):
            found = model.forward_features(clips) if ours else model(clips)
        return model.forward_head(found.float()) if ours else found

    for model in models.values():
        model.eval()  # a separate statement: returns None in MMAction2
    return {name: partial(logits, model, name == 'ours') for name, model in models.items()}


def equal_work(measure: Measure, dtype: str, video: str) -> Tasks:
    """Build forward tasks of other networks and of ours."""
    return eager_tasks(other_networks(measure), random_clips(measure), dtype)


def forward(measure: Measure, dtype: str, video: str) -> Tasks:
    """Build forward tasks on random clips, the peer's network with all available runtimes."""
    clips = random_clips(measure)
    models = networks(measure)
    [(peer, theirs), (_, ours)] = models.items()
    options: dict[str, Any] = dict(freezing=True)  # treat weights as constants
    compiled: Any = torch.compile(theirs, options=options)
    tasks = eager_tasks({peer: theirs, f'{peer}, compiled': compiled}, clips, dtype)
    if find_spec('onnxruntime') and find_spec('onnxscript') and dtype == 'float32':
        tasks[f'{peer}, ONNX Runtime'] = by_onnxruntime(theirs, clips)
    if find_spec('openvino'):
        tasks[f'{peer}, OpenVINO'] = by_openvino(theirs, clips, dtype)
    return {**tasks, **eager_tasks(dict(ours=ours), clips, dtype)}


def by_onnxruntime(model: nn.Module, clips: Tensor) -> Task:
    """Build a forward task in ONNX Runtime."""
    import onnxruntime

    program: Any = torch.onnx.export(model.eval(), (clips,), dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options)
    feed = {session.get_inputs()[0].name: clips.numpy()}
    return lambda: torch.from_numpy(session.run(None, feed)[0])


def by_openvino(model: nn.Module, clips: Tensor, dtype: str) -> Task:
    """Build a forward task in OpenVINO."""
    openvino = import_module('openvino')
    settings = dict(
        INFERENCE_PRECISION_HINT=dict(float32='f32', bfloat16='bf16')[dtype],
        INFERENCE_NUM_THREADS=torch.get_num_threads(),
        PERFORMANCE_HINT='LATENCY',
    )
    program = openvino.convert_model(torch.export.export(model.eval(), (clips,)))
    network = openvino.compile_model(program, 'CPU', settings)
    return lambda: torch.from_numpy(network(clips.numpy())[0])


def int8(measure: Measure, dtype: str, video: str) -> Tasks:
    """Build tasks of the peer's eager network in float32, and of ours with OpenVINO in int8.

    The network is calibrated with the same clips, because speed does not depend on the ranges.
    """
    from nncf import Dataset, quantize

    from r21d_plugin.models.runtimes import computed_by_openvino, convert, core, to_plain_data

    clips = random_clips(measure)
    models = networks(measure)
    ours = models['ours']
    core()
    views = Dataset([view.numpy() for view in clips.split(1)])
    quantized = to_plain_data(quantize(convert(ours.eval()), views, subset_size=len(clips)))

    @torch.inference_mode()
    def logits() -> Tensor:
        with computed_by_openvino(ours, 'int8', quantized):
            return ours(clips)

    return {**eager_tasks(models, clips, dtype), 'ours': logits}


def training(measure: Measure, dtype: str, video: str) -> Tasks:
    """Build training-step tasks, which return losses."""
    clips, labels = random_clips(measure), torch.arange(measure.clips)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
        with in_type(dtype):
            loss = cross_entropy(model(clips).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return {
        name: partial(step, model.train(), torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9))
        for name, model in networks(measure).items()
    }


def random_clips(measure: Measure) -> Tensor:
    """Create clips of noise, N x 3 x T x 112 x 112."""
    return torch.randn(measure.clips, 3, measure.frames, 112, 112)


def test(measure: Measure, dtype: str, video: str) -> Tasks:
    """Build tasks that score a video file with MMAction2's pipeline and recognizer, and ours."""
    sample = dict(
        type='SampleFrames', test_mode=True, clip_len=measure.frames, num_clips=measure.clips
    )
    scale: Any = dict(scale=(171, 128))
    finish = [
        dict(type='CenterCrop', crop_size=112),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
    resize = dict(scale, type='Resize', keep_ratio=False)
    decord = [dict(type='DecordInit'), sample, dict(type='DecordDecode'), resize]
    ours = [dict(type='r21d_plugin.OpenVideo'), sample, dict(scale, type='r21d_plugin.ReadFrames')]
    mine, theirs = recognizers(measure, dtype)

    @torch.inference_mode()
    def scores(recognizer: Any, pipeline: Compose, autocast: str) -> Tensor:
        packed = pipeline(dict(filename=video, start_index=0, modality='RGB', label=0))
        with in_type(autocast):
            return recognizer.test_step(pseudo_collate([packed]))[0].pred_score

    return {
        'MMAction2': partial(scores, theirs, Compose([*decord, *finish]), dtype),
        'ours': partial(scores, mine, Compose([*ours, *finish]), 'float32'),  # sets its own dtype
    }


def recognizers(measure: Measure, dtype: str) -> tuple[nn.Module, nn.Module]:
    """Build our recognizer, as in our commands, and MMAction2's, with the same network."""
    from mmaction.registry import MODELS

    model = dict(
        type='Recognizer3D',
        backbone=dict(type='r21d_plugin.R2Plus1D', depth=int(measure.network[-2:])),
        cls_head=dict(type='r21d_plugin.ClipHead', num_classes=400),
        data_preprocessor=dict(
            type='ActionDataPreprocessor', mean=[110.0] * 3, std=[58.0] * 3, format_shape='NCTHW'
        ),
    )
    theirs = MODELS.build(model).eval()
    theirs.init_weights()
    test_cfg = dict(max_testing_views=measure.clips, dtype=dtype)
    ours = MODELS.build(dict(model, type='r21d_plugin.MultiClipRecognizer', test_cfg=test_cfg))
    ours.load_state_dict(theirs.state_dict())
    return accelerate(ours.eval()), theirs


KINDS: dict[str, Callable[[Measure, str, str], Tasks]] = {
    'equal work': equal_work,
    'forward': forward,
    'int8': int8,
    'test': test,
    'training': training,
}

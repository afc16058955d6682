"""What the benchmark measures, and who takes part."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from copy import deepcopy
from functools import partial
from typing import Any, Callable, NamedTuple

Task = Callable[[], Any]

PLAIN = 'PyTorch 3D'
"""The same network by PyTorch's 3D convolutions, in contiguous memory and with norms apart."""


class Measure(NamedTuple):
    """A measure.

    Attributes:
        name (str): Its name.
        kind (str): ``'forward'``, ``'compiled'``, ``'equal work'``, ``'training'``, ``'decoding'``
            or ``'test'``.
        network (str): Network.
        clips (int): Clips.
        frames (int): Frames of a clip.
    """

    name: str
    kind: str
    network: str
    clips: int
    frames: int


MEASURES = [
    Measure('R(2+1)D-18, 10 clips x 8', 'forward', 'r2plus1d_18', 10, 8),
    Measure('R(2+1)D-18, 10 clips x 16', 'forward', 'r2plus1d_18', 10, 16),
    Measure('R(2+1)D-18, 1 clip x 8', 'forward', 'r2plus1d_18', 1, 8),
    Measure('R(2+1)D-18, 1 clip x 8, compiled', 'compiled', 'r2plus1d_18', 1, 8),
    Measure('R3D-18, 10 clips x 8', 'forward', 'r3d_18', 10, 8),
    Measure('R3D-18, 1 clip x 8', 'forward', 'r3d_18', 1, 8),
    Measure('MC3-18, 10 clips x 8', 'forward', 'mc3_18', 10, 8),
    Measure('R(2+1)D-34, 1 clip x 32', 'forward', 'r2plus1d_34', 1, 32),
    Measure('R(2+1)D-34, 1 clip x 8, per GFLOP', 'equal work', 'r2plus1d_34', 1, 8),
    Measure('R(2+1)D-34, 10 clips x 8, per GFLOP', 'equal work', 'r2plus1d_34', 10, 8),
    Measure('R(2+1)D-18, training, 4 clips x 8', 'training', 'r2plus1d_18', 4, 8),
    Measure('R3D-18, training, 4 clips x 8', 'training', 'r3d_18', 4, 8),
    Measure('decode and resize, 10 clips x 32', 'decoding', 'r2plus1d_18', 10, 32),
    Measure('decode and resize, 50 clips x 32, overlapping', 'decoding', 'r2plus1d_18', 50, 32),
    Measure('test of a video, 10 clips x 8', 'test', 'r2plus1d_18', 10, 8),
]

FAMILIES = [
    'r2d',
    'fr2d',
    'r3d',
    *(f'{r}mc{x}' for r in ('', 'r') for x in range(2, 6)),
    'r2plus1d',
]
FAMILY = [
    Measure(f'{family}_{depth}, 1 clip x {frames}', 'forward', f'{family}_{depth}', 1, frames)
    for depth in (18, 34)
    for family in FAMILIES
    for frames in (8, 16, 32)
]


def run(measure: Measure, kept: bool, threads: int, repeats: int, video: str) -> dict[str, Any]:
    """Measure in this process.

    Args:
        measure (Measure): What to measure.
        kept (bool): Whether to keep freed memory.
        threads (int): Threads of torch.
        repeats (int): Measurements of each contestant.
        video (str): Video to decode.

    Returns:
        dict: ``seconds`` and ``difference`` by contestant, the largest from
        the first peer relative to the largest number of it, empty where they
        are different networks, whose ``seconds`` are then those of our work at
        their rate; ``gflop`` of the measure, 0 where it is not arithmetic;
        ``ceiling`` of the machine.
    """
    if kept:
        from r21d_plugin.engine.memory import keep_freed_memory

        keep_freed_memory()
    import torch
    from mmengine.registry import init_default_scope

    init_default_scope('mmaction')
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    tasks = KINDS[measure.kind](measure, video)
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    results: dict[str, Any] = {}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            results[name] = task()
            if turn > 0:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    difference = {}
    if measure.kind == 'equal work':
        for name, task in tasks.items():
            if not name.startswith('ours'):
                scale = gflop(measure) / flops_of(task)
                seconds[name] = [value * scale for value in seconds[name]]
    else:
        difference = differences(results)
    return dict(
        seconds=seconds, difference=difference, gflop=gflop(measure), ceiling=ceiling(repeats)
    )


def differences(results: dict[str, Any]) -> dict[str, float]:
    """Largest difference of each result from the first, relative to the largest number of it."""
    expected = next(iter(results.values()))
    scale = expected.abs().max().item()
    return {name: (x - expected).abs().max().item() / scale for name, x in results.items()}


def flops_of(task: Task) -> float:
    """Multiplications and additions of a task, in 10^9."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        task()
    return counter.get_total_flops() / 1e9


def gflop(measure: Measure) -> float:
    """Multiplications and additions of a measure, in 10^9; a backward pass is two forward ones."""
    from tools.complexity import measure as complexity

    passes = 3 if measure.kind == 'training' else int(measure.kind in FORWARD)
    if not passes:
        return 0.0
    return 2 * passes * measure.clips * complexity(measure.network, measure.frames).gflops


def dtypes() -> list[str]:
    """Names of the types that this machine is fast in."""
    from r21d_plugin.models.accelerate import has_fast_bfloat16

    return ['float32', 'bfloat16'] if has_fast_bfloat16() else ['float32']


def ceiling(repeats: int) -> dict[str, float]:
    """Rates of this machine: GFLOP/s of a large convolution by type, GB/s of a copy."""
    import torch

    rates = {}
    for dtype in dtypes():
        kind = getattr(torch, dtype)
        x = torch.randn(32, 128, 56, 56).to(kind).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(128, 128, 3, 3).to(kind)
        convolve = partial(torch.conv2d, x, weight, padding=1)
        rates[dtype] = 2 * 9 * 128 * x.numel() / fastest(convolve, repeats) / 1e9
    source = torch.zeros(2**26)
    target = torch.zeros_like(source)
    rates['copy'] = 2 * source.nbytes / fastest(partial(target.copy_, source), repeats) / 1e9
    return rates


def fastest(task: Task, repeats: int) -> float:
    """Seconds of the fastest of some calls after the first."""
    import torch

    seconds = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            task()
            seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def networks(measure: Measure) -> dict[str, Any]:
    """The same network, with the same weights, as each contestant has it; peers first."""
    from r21d_plugin import accelerate, create_model

    kwargs: dict = {}
    theirs = None
    with suppress(ImportError, AttributeError, RuntimeError):
        from torchvision.models import video

        theirs = getattr(video, measure.network)()
        kwargs = dict(midplanes='block') if measure.network.startswith('r2plus1d') else {}
    ours = create_model(measure.network, clip_len=measure.frames, **kwargs)
    if theirs is None:
        return {PLAIN: ours, 'ours': accelerate(deepcopy(ours))}
    ours.load_state_dict(theirs.state_dict())
    return {'torchvision': theirs, 'ours': accelerate(ours)}


def other_networks(measure: Measure) -> dict[str, Any]:
    """What others call R(2+1)D, in their own configuration, and ours."""
    from mmaction.models import ResNet2Plus1d
    from torch.nn import Sequential

    from r21d_plugin import accelerate, create_model

    models: dict[str, Any] = {
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

        # Without its head, whose pooling is for larger clips.
        models['PyTorchVideo r2plus1d-50'] = Sequential(*create_r2plus1d().blocks[:-1])
    return dict(models, ours=accelerate(create_model(measure.network, clip_len=measure.frames)))


def compiled_networks(measure: Measure) -> dict[str, Any]:
    """The same network by PyTorch's compiler, to which weights are constants."""
    import torch

    options: dict[str, Any] = dict(freezing=True)
    [(peer, theirs), (_, ours)] = networks(measure).items()
    ours = deepcopy(ours)
    ours.compile(options=options)
    return {f'{peer}, compiled': torch.compile(theirs, options=options), 'ours': ours}


FORWARD = {
    'forward': networks,
    'compiled': compiled_networks,
    'equal work': other_networks,
}
"""Networks of the measures that are one forward pass."""


def contestants(models: dict[str, Any], use: Callable[[str, Any, Any], Any]) -> dict[str, Task]:
    """A task for each contestant.

    Args:
        models (dict): Networks by the names of the contestants.
        use (Callable): Function of a contestant's name, its network and the
            context to compute in.
    """
    import torch

    tasks: dict[str, Task] = {}
    for name, model in models.items():
        if name != 'ours':
            tasks[name] = partial(use, name, model, nullcontext)
            continue
        for dtype in dtypes():
            enabled = dtype != 'float32'
            label = f'ours, {dtype}'
            precision = partial(torch.autocast, 'cpu', torch.bfloat16, enabled=enabled)
            tasks[label] = partial(use, label, model, precision)
    return tasks


def forward(measure: Measure, video: str) -> dict[str, Task]:
    """Logits of random clips."""
    import torch

    clips = torch.randn(measure.clips, 3, measure.frames, 112, 112)

    def logits(name: str, model: Any, context: Any) -> Any:
        model.eval()
        with torch.inference_mode():
            if not name.startswith('ours'):
                with context():
                    return model(clips)
            with context():
                feature = model.forward_features(clips)
            return model.forward_head(feature.float())

    return contestants(FORWARD[measure.kind](measure), logits)


def training(measure: Measure, video: str) -> dict[str, Task]:
    """Losses of training steps, each contestant on a network of its own."""
    import torch
    from torch.nn.functional import cross_entropy

    clips = torch.randn(measure.clips, 3, measure.frames, 112, 112)
    labels = torch.arange(measure.clips)
    own: dict[str, Any] = {}

    def step(name: str, model: Any, context: Any) -> Any:
        if name not in own:
            copy = deepcopy(model).train()
            own[name] = copy, torch.optim.SGD(copy.parameters(), 1e-3, momentum=0.9)
        network, optimizer = own[name]
        with context():
            loss = cross_entropy(network(clips).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return contestants(networks(measure), step)


RESIZE: list[dict] = [
    dict(type='DecordDecode'),
    dict(type='Resize', scale=(171, 128), keep_ratio=False),
]


def pipelines(measure: Measure) -> dict[str, list[dict]]:
    """Decoding and resizing of test clips, by MMAction2 and by us; the same clips."""
    counts = dict(clip_len=measure.frames, num_clips=measure.clips)
    sample: dict = dict(type='SampleFrames', test_mode=True, **counts)
    ours: list[dict] = [dict(type='r21d_plugin.OpenVideo'), sample]
    return {
        'MMAction2': [dict(type='DecordInit'), sample, *RESIZE],
        'ours': [*ours, dict(type='r21d_plugin.ReadFrames', scale=(171, 128))],
    }


def decoding(measure: Measure, video: str) -> dict[str, Task]:
    """Frames of all test clips of a video."""
    import numpy as np
    import torch
    from mmengine.dataset import Compose

    def frames(pipeline: Any) -> Any:
        images = pipeline(dict(filename=video, start_index=0, modality='RGB'))['imgs']
        return torch.from_numpy(np.stack(images)).float()

    composed = {name: Compose(pipeline) for name, pipeline in pipelines(measure).items()}
    return {name: partial(frames, pipeline) for name, pipeline in composed.items()}


def test(measure: Measure, video: str) -> dict[str, Task]:
    """Scores of a video from its file, by MMAction2's recognizer and by ours."""
    import torch
    from mmaction.registry import MODELS
    from mmengine.dataset import Compose, pseudo_collate

    from r21d_plugin import accelerate

    finish = [
        dict(type='CenterCrop', crop_size=112),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
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

    def scores(recognizer: Any, pipeline: Any) -> Any:
        packed = pipeline(dict(filename=video, start_index=0, modality='RGB', label=0))
        with torch.inference_mode():
            return recognizer.test_step(pseudo_collate([packed]))[0].pred_score

    composed = {name: Compose([*p, *finish]) for name, p in pipelines(measure).items()}
    tasks: dict[str, Task] = {'MMAction2': partial(scores, theirs, composed['MMAction2'])}
    for dtype in dtypes():
        test_cfg = dict(max_testing_views=measure.clips, dtype=dtype)
        ours = MODELS.build(dict(model, type='r21d_plugin.MultiClipRecognizer', test_cfg=test_cfg))
        ours.load_state_dict(theirs.state_dict())
        tasks[f'ours, {dtype}'] = partial(scores, accelerate(ours.eval()), composed['ours'])
    return tasks


KINDS: dict[str, Callable[[Measure, str], dict[str, Task]]] = {
    **dict.fromkeys(FORWARD, forward),
    'training': training,
    'decoding': decoding,
    'test': test,
}

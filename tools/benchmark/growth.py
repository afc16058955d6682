"""How time and peak memory grow with clips, frames, resolution, batch and length of the dataset.

Every point is a process of its own, so that its peak is its own. Prints a table with the slope of
each curve in log-log scale (1: linear).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from math import log
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tabulate import tabulate


class Curve(NamedTuple):
    """What is varied.

    Attributes:
        name (str): What it is.
        values (list[int]): Values it takes.
        task (str): What is measured, a function of this module.
        arguments (dict[str, int]): What stays as it is.
    """

    name: str
    values: list[int]
    task: str
    arguments: dict[str, int]


FORWARD = dict(batch=1, frames=8, size=112)
CURVES = [
    Curve('clips of a video', [1, 10, 30, 100], 'test', {}),
    Curve('batch', [1, 2, 4, 8, 16], 'forward', dict(FORWARD)),
    Curve('frames', [8, 16, 32, 64], 'forward', dict(FORWARD)),
    Curve('size', [56, 112, 168, 224], 'forward', dict(FORWARD)),
    Curve('lines', [1_000, 10_000, 100_000, 1_000_000], 'dataset', {}),
]


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--network', default='r2plus1d_18', help='network (r2plus1d_18)')
    parser.add_argument('--only', nargs='+', metavar='CURVE', help='curves to measure (all)')
    parser.add_argument('--repeats', type=int, default=3, help='measurements of each point (3)')
    parser.add_argument('--worker', help=argparse.SUPPRESS)
    return parser.parse_args()


def forward(network: str, batch: int, frames: int, size: int) -> Callable[[], Any]:
    """A forward pass of a batch of clips."""
    import torch

    from r21d_plugin import create_model

    model = create_model(network, clip_len=frames).eval()
    clips = torch.randn(batch, 3, frames, size, size)

    def task() -> Any:
        with torch.inference_mode():
            return model(clips)

    return task


def test(network: str, clips: int) -> Callable[[], Any]:
    """A test of one video with many clips of 8 frames, ten at a time."""
    import torch
    from mmaction.registry import MODELS
    from mmaction.structures import ActionDataSample
    from mmengine.registry import init_default_scope

    from r21d_plugin.models.factory import backbone_cfg

    init_default_scope('mmaction')
    cfg = backbone_cfg(network, 8)
    model = MODELS.build(
        dict(
            type='r21d_plugin.MultiClipRecognizer',
            backbone=dict(cfg, type=f'r21d_plugin.{cfg["type"]}'),
            cls_head=dict(type='r21d_plugin.ClipHead', num_classes=400),
            data_preprocessor=dict(
                type='ActionDataPreprocessor', mean=[110.0], std=[58.0], format_shape='NCTHW'
            ),
            test_cfg=dict(max_testing_views=10),
        )
    ).eval()
    views = torch.randint(0, 256, (clips, 3, 8, 112, 112), dtype=torch.uint8)

    def task() -> Any:
        with torch.inference_mode():
            return model.test_step(dict(inputs=[views], data_samples=[ActionDataSample()]))

    return task


def dataset(network: str, lines: int) -> Callable[[], Any]:
    """Reading an annotation file."""
    from r21d_plugin.datasets import LabelledVideoDataset

    folder = tempfile.mkdtemp()
    path = Path(folder, 'list.txt')
    path.write_text(''.join(f'class {i % 400}/video_{i:07}.mp4 {i % 400}\n' for i in range(lines)))
    return partial(LabelledVideoDataset, str(path), num_classes=400, pipeline=[])


ARGUMENT = {'clips of a video': 'clips'}
TASKS: dict[str, Callable[..., Callable[[], Any]]] = dict(
    forward=forward, test=test, dataset=dataset
)


def work(curve: str, value: int, network: str, repeats: int) -> dict[str, float]:
    """Measure a point in this process."""
    from r21d_plugin.engine import keep_freed_memory

    keep_freed_memory()
    chosen = next(c for c in CURVES if c.name == curve)
    arguments = {**chosen.arguments, ARGUMENT.get(curve, curve): value}
    task = TASKS[chosen.task](network, **arguments)
    before = peak()
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - start)
    return dict(seconds=median(seconds[1:]), mebibytes=peak(), more=peak() - before)


def peak() -> float:
    """Peak memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def slope(values: list[int], results: list[float]) -> float:
    """Exponent of the growth from the second to the last point."""
    return log(results[-1] / results[1]) / log(values[-1] / values[1])


def main() -> None:
    """Measure and print."""
    args = parse_args()
    if args.worker:
        print(json.dumps(work(*json.loads(args.worker))))
        return
    curves = [c for c in CURVES if not args.only or c.name in args.only]
    if not curves or args.repeats < 1:
        names = ', '.join(repr(c.name) for c in CURVES)
        sys.exit(f'error: nothing to measure: --only takes some of {names}')
    found: dict[str, list[dict[str, float]]] = {}
    rows = []
    for curve in curves:
        for value in curve.values:
            task = json.dumps([curve.name, value, args.network, args.repeats])
            command = [sys.executable, '-W', 'ignore', __file__, '--worker', task]
            out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            found.setdefault(curve.name, []).append(json.loads(out.splitlines()[-1]))
            point = found[curve.name][-1]
            figures = (
                f'{point["seconds"]:.3f}',
                f'{point["mebibytes"]:.0f}',
                f'{point["more"]:.0f}',
            )
            rows.append([curve.name, f'{value:,}', *figures, ''])
        rows[-1][-1] = f'{slope(curve.values, [p["seconds"] for p in found[curve.name]]):.2f}'
    header = ['varied', 'value', 'seconds', 'peak MiB', 'of it the task', 'slope of seconds']
    print(tabulate(rows, header, tablefmt='github', disable_numparse=True))


if __name__ == '__main__':
    main()

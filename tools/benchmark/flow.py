"""Time the flow stream on one core: decoding, flow compared with plain OpenCV, and a network.

The tasks take turns in one process; the table has medians.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Callable, Dict

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from tabulate import tabulate
from turns import take_turns

from r21d_plugin import accelerate, create_model
from r21d_plugin._compat import pairwise
from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.datasets import FarnebackFlow
from r21d_plugin.datasets.flow_extraction import flow_of_video
from r21d_plugin.datasets.flow_store import SUFFIX, write_flow

Tasks = Dict[str, Callable[[], object]]


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('video', type=Path, help='a video with at least 33 frames')
    parser.add_argument('--clip-len', type=int, default=32, help='flow fields per clip (32)')
    parser.add_argument('--network', default='r2plus1d_34', help='network (r2plus1d_34)')
    parser.add_argument('--repeats', type=int, default=15, help='measurements of each (15)')
    return parser.parse_args()


def plain_opencv(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Compute the flow of a clip with plain OpenCV calls."""
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    gaussian = cv2.OPTFLOW_FARNEBACK_GAUSSIAN
    return [
        cv2.calcOpticalFlowFarneback(before, after, None, 2**-0.5, 5, 10, 2, 7, 1.5, gaussian)
        for before, after in pairwise(gray)
    ]


def crops(clip_len: int, num_clips: int) -> list[dict]:
    """Build a test pipeline up to the cropped frames."""
    sampling = dict(clip_len=clip_len, flow_gap=1, num_clips=num_clips, test_mode=True)
    return [
        dict(type='r21d_plugin.OpenVideo'),
        dict(type='r21d_plugin.SampleClips', **sampling),
        dict(type='r21d_plugin.ReadFrames'),
        dict(type='CenterCrop', crop_size=112),
    ]


def make_tasks(args: argparse.Namespace, folder: Path) -> Tasks:
    """Build the timed tasks, by name in the table."""
    video = dict(filename=str(args.video), start_index=0, modality='RGB')
    fields = flow_of_video(args.video, (171, 128))
    write_flow(folder / f'{args.video.name}{SUFFIX}', fields, args.video.stat().st_size)
    decode = Compose(crops(args.clip_len, 1))
    cut = crops(args.clip_len, 1)
    cut[2]['decode'] = False
    stored = Compose([*cut, dict(type='r21d_plugin.FarnebackFlow', root=str(folder))])
    one = decode(dict(video))
    ten = Compose(crops(args.clip_len, 10))(dict(video))
    length = args.clip_len + 1
    clips = [ten['imgs'][i : i + length] for i in range(0, 10 * length, length)]
    flow = FarnebackFlow()
    model = accelerate(create_model(args.network, in_channels=2, clip_len=args.clip_len)).eval()
    clip = torch.randn(1, 2, args.clip_len, 112, 112)
    return {
        'decode and resize a clip': lambda: decode(dict(video)),
        'flow of a clip, plain OpenCV': lambda: plain_opencv(one['imgs']),
        'flow of a clip, FarnebackFlow': lambda: flow(dict(one)),
        'stored flow of a clip': lambda: stored(dict(video)),
        'flow of 10 test clips, plain OpenCV': lambda: [plain_opencv(clip) for clip in clips],
        'flow of 10 test clips, FarnebackFlow': lambda: flow(dict(ten)),
        f'forward pass of {args.network}': lambda: model(clip),
    }


def ratio(seconds: dict[str, list[float]], task: str) -> float:
    """Return FarnebackFlow's time over plain OpenCV's, the median of paired measurements."""
    pairs = zip(seconds[f'{task}, FarnebackFlow'], seconds[f'{task}, plain OpenCV'])
    return median(ours / plain for ours, plain in pairs)


def main() -> None:
    """Measure and print."""
    args = parse_args()
    init_default_scope('mmaction')
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with errors_in_one_line(), tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        tasks = make_tasks(args, Path(folder))
        seconds, _ = take_turns(tasks, args.repeats, time.perf_counter)
    middle = {name: median(values) for name, values in seconds.items()}
    rows = [[name, f'{1e3 * value:.1f}', f'{1 / value:.2f}'] for name, value in middle.items()]
    align = ('left', 'right', 'right')
    header = ['on one core', 'ms', 'per second']
    print(tabulate(rows, header, tablefmt='github', colalign=align, disable_numparse=True))
    pair = 1e3 * middle['flow of a clip, FarnebackFlow'] / args.clip_len
    print(f'\nFarnebackFlow: {pair:.2f} ms for a pair of 112x112 frames.')
    print('FarnebackFlow / plain OpenCV, median of paired measurements: ', end='')
    print(f'{ratio(seconds, "flow of a clip"):.3f} for a clip, ', end='')
    print(f'{ratio(seconds, "flow of 10 test clips"):.3f} for 10 test clips.')


if __name__ == '__main__':
    main()

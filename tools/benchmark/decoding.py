"""Compare the decoding speed of clips with MMAction2, torchcodec and PyTorchVideo, by CPU time.

Each contestant opens a video, decodes the same frames and resizes them to 171x128; torchcodec and
PyTorchVideo are included if they are installed. Then whole dataloaders load training clips. All
contestants take turns in one process. Rates are clips per second of CPU time, summed over all
threads and workers, and the ratio is the median over turns. Differences between the contestants'
frames are in grey levels. The videos are generated: H.264 in MP4 with FFmpeg's defaults, moving
texture from a fixed seed.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict

import cv2
import numpy as np
from mmaction.datasets import VideoDataset
from mmaction.datasets.transforms import SampleFrames
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from readers import FPS, MMACTION2, make_video, readers
from tabulate import tabulate
from torch.utils.data import DataLoader
from turns import take_turns

from r21d_plugin.datasets import LabelledVideoDataset, video_reader
from r21d_plugin.datasets.pipelines import clip_pipelines

PEER = 'MMAction2, decord'  # reference of the ratios
Tasks = Dict[str, Callable[[], Any]]
"""Tasks of the contestants, by name."""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--sizes',
        nargs='+',
        default=['340x256', '1920x1080'],
        metavar='WxH',
        help='sizes of the videos (340x256 1920x1080)',
    )
    parser.add_argument('--seconds', type=int, default=10, help='length of the videos (10)')
    parser.add_argument('--repeats', type=int, default=5, help='measurements of each (5)')
    parser.add_argument('--clips', type=int, default=32, help='clips per dataloader (32)')
    return parser.parse_args()


def cpu_seconds() -> float:
    """Return the CPU time of this process, its threads and finished child processes."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def row_of(
    video: str, what: str, clips: int, seconds: dict[str, list[float]], results: dict[str, Any]
) -> dict[str, str]:
    """Build a row of the table, by column; ``seconds`` are for ``clips`` clips."""
    pairs = zip(seconds['ours'], seconds[PEER])
    ratios = [theirs / ours for ours, theirs in pairs]
    frames = [np.float32(found) for found in results.values() if found is not None]
    return {
        'video': video,
        'clips x frames': what,
        **{name: f'{clips / median(values):.3g}' for name, values in seconds.items()},
        'ours to decord': f'{median(ratios):.2f}',
        'spread': f'{min(ratios):.2f}-{max(ratios):.2f}',
        'difference': f'{max(np.abs(x - frames[0]).max() for x in frames):g}' if frames else '',
    }


def reading(video: Path, frames: int, clips: int) -> Tasks:
    """Build tasks that read the clips of a video: one as in training, several as in a test."""
    sample = SampleFrames(clip_len=frames, num_clips=clips, test_mode=clips > 1)
    return {name: partial(read, video, sample) for name, read in readers().items()}


def loading(list_of_videos: Path, frames: int, workers: int) -> Tasks:
    """Build tasks that load training clips, one from each video, with whole dataloaders."""
    ours, _, _ = clip_pipelines(frames)
    cut = [step for step in ours if '.' not in step['type']]
    kinds: dict[str, tuple[type, list[dict]]] = {'ours': (LabelledVideoDataset, ours)}
    for name, (opening, *rest) in MMACTION2.items():
        steps = [opening, dict(type='SampleFrames', clip_len=frames), *rest, *cut]
        kinds[name] = VideoDataset, steps

    def load(kind: type, pipeline: list[dict]) -> None:
        video_reader.KNOWN_INDEXES.clear()
        dataset = kind(str(list_of_videos), num_classes=1, pipeline=pipeline)
        loader: DataLoader = DataLoader(dataset, 8, num_workers=workers, collate_fn=pseudo_collate)
        for _ in loader:
            pass

    return {name: partial(load, *kind) for name, kind in kinds.items()}


def tasks_of(folder: Path, args: argparse.Namespace) -> Iterator[tuple[str, str, int, Tasks]]:
    """Yield descriptions of a video and of its clips, the number of clips, and the tasks."""
    for text in args.sizes:
        width, height = map(int, text.split('x'))
        path = make_video(folder / f'{text}.mp4', (width, height), args.seconds * FPS, seed=0)
        video = f'{text}, {8 * path.stat().st_size / args.seconds / 1000:.0f} kbit/s'
        for frames, clips in product((8, 32), (1, 10)):
            yield video, f'{clips} x {frames}', clips, reading(path, frames, clips)
        copies = [folder / f'{text}_{i}.mp4' for i in range(args.clips)]
        for copy in copies:
            copy.symlink_to(path)  # readers treat links as different videos
        annotations = folder / f'{text}.txt'
        annotations.write_text(''.join(f'{copy} 0\n' for copy in copies))
        for workers in (1, 2):
            what = f'1 x 8, {workers} worker{"s"[: workers - 1]}'
            yield video, what, args.clips, loading(annotations, 8, workers)


def main() -> None:
    """Measure and print."""
    args = parse_args()
    sizes = [re.fullmatch(r'[1-9]\d*x[1-9]\d*', text) for text in args.sizes]
    if not all(sizes) or min(args.seconds, args.repeats, args.clips) < 1:
        sys.exit('error: nothing to measure: see --sizes, --seconds, --repeats and --clips')
    init_default_scope('mmaction')
    cv2.setNumThreads(0)
    table: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for video, what, clips, tasks in tasks_of(Path(folder), args):
            print(f'{video}, {what}', file=sys.stderr)
            seconds, results = take_turns(tasks, args.repeats, cpu_seconds)
            table.append(row_of(video, what, clips, seconds, results))
    columns = dict.fromkeys(name for row in table for name in row)
    cells = [[row.get(name, '') for name in columns] for row in table]
    print(tabulate(cells, list(columns), tablefmt='github', disable_numparse=True))


if __name__ == '__main__':
    main()

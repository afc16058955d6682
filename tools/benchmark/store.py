"""Measure cost and benefit of the training store in CPU time, and the difference of its pixels.

Each video is checked and encoded. Then random clips, or the ten clips of a test, are read from the
source and from the store, taking turns in one process. Without videos, one is generated: 10 s of
moving texture, 340x256, H.264.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from mmaction.datasets.transforms import SampleFrames
from mmengine.registry import init_default_scope
from readers import MMACTION2, SIZE, make_video, read_by_ours, read_by_steps
from tabulate import tabulate
from turns import take_turns

from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.datasets.video_facts import LEVELS, inspect_video
from r21d_plugin.datasets.video_reader import KNOWN_INDEXES, VideoReader
from r21d_plugin.datasets.video_store import StoreFormat, store_video

CLIPS = ((1, 8), (1, 32), (10, 8), (10, 32))  # number of clips (1: random, 10: test) and frames


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('videos', type=Path, nargs='*', help='videos with more than 32 frames')
    parser.add_argument('--repeats', type=int, default=25, help='clips of each length (25)')
    return parser.parse_args()


def milliseconds(task: Callable[[], object]) -> float:
    """Measure the CPU time of a task."""
    KNOWN_INDEXES.clear()
    start = time.process_time()
    task()
    return 1000 * (time.process_time() - start)


def costs(video: Path, stored: Path) -> list[str]:
    """Measure sizes before and after, and the time of checks and of encoding."""
    checks = [milliseconds(lambda k=k: inspect_video(video, '', k)) for k in LEVELS]  # type: ignore[misc]
    encoding = milliseconds(lambda: store_video(video, stored, StoreFormat()))
    sizes = [path.stat().st_size for path in (video, stored)]
    return [*(f'{size / 1000:.0f}' for size in sizes), *(f'{t:.0f}' for t in (*checks, encoding))]


def gains(video: Path, stored: Path, repeats: int) -> list[str]:
    """Time reading clips with MMAction2, with our reader from the source, and from the store."""
    cells = []
    for clips, frames in CLIPS:
        sample = SampleFrames(clip_len=frames, num_clips=clips, test_mode=clips > 1)
        tasks: dict[str, Callable[[], np.ndarray]] = dict(
            peer=partial(read_by_steps, MMACTION2['MMAction2, decord'], video, sample),
            source=partial(read_by_ours, False, video, sample),
            store=partial(read_by_ours, False, stored, sample),
        )
        seconds, _ = take_turns(tasks, repeats, time.process_time)
        peer, source, store = (1000 * median(times) for times in seconds.values())
        cells += [f'{peer:.1f}', f'{source:.1f}', f'{store:.1f}', f'{peer / store:.1f}']
    return cells


def difference(video: Path, stored: Path) -> float:
    """Return the mean absolute difference of pixels from the source, in grey levels."""
    with VideoReader(video) as before, VideoReader(stored) as after:
        frames = zip(before.frames(size=SIZE), after.frames(size=SIZE))
        return float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in frames]))


def main() -> None:
    """Measure and print a table."""
    args = parse_args()
    cv2.setNumThreads(1)
    init_default_scope('mmaction')
    whose = ('MMAction2', 'ours', 'store', 'ratio')
    clips = [f'{who}, {count} x {frames}' for count, frames in CLIPS for who in whose]
    header = ['video', 'kB', 'stored', *LEVELS, 'encode', *clips, 'difference']
    with errors_in_one_line(), tempfile.TemporaryDirectory() as folder:
        made = Path(folder, 'made.mp4')
        rows = []
        for video in args.videos or [make_video(made, (340, 256), 300, seed=0)]:
            stored = Path(folder, f'{video.stem}_stored.mp4')
            cells = [*costs(video, stored), *gains(video, stored, args.repeats)]
            rows.append([video.stem[:24], *cells, f'{difference(video, stored):.1f}'])
        print('kB and CPU milliseconds: of checks (quick, full), of encoding, and of clips')
        columns = [[name, *column] for name, *column in zip(header, *rows)]
        print(tabulate(columns))


if __name__ == '__main__':
    main()

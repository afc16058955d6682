"""Find and write the segments of videos in which a class score exceeds a threshold."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .._atomic import atomic_write
from .._errors import escape_bytes


class Segment(NamedTuple):
    """A part of a video in which a class score exceeds a threshold."""

    start: float  # seconds from the video's first frame
    end: float
    number: int  # of the class
    score: float  # mean over the clips


def find_segments(values: np.ndarray, times: np.ndarray, threshold: float) -> list[Segment]:
    """Merge consecutive clips in which a class score exceeds a threshold; sort them by start.

    ``values`` are scores, clips x classes, and ``times`` the start and end of each clip in seconds,
    clips x 2, in ascending order. Clips that overlap or touch form one segment.
    """
    segments = []
    for number in np.flatnonzero((values > threshold).any(0)).tolist():
        group: list[int] = []
        for clip in np.flatnonzero(values[:, number] > threshold).tolist():
            if group and (clip > group[-1] + 1 or times[clip, 0] > times[group[-1], 1] + 1e-6):
                segments.append(segment_of(group, number, values, times))
                group = []
            group.append(clip)
        segments.append(segment_of(group, number, values, times))
    return sorted(segments)


def segment_of(clips: Sequence[int], number: int, values: np.ndarray, times: np.ndarray) -> Segment:
    """Build the segment of consecutive clips."""
    start, end = times[clips[0], 0], times[clips[-1], 1]
    return Segment(float(start), float(end), number, float(values[clips, number].mean()))


def write_srt(path: Path, segments: Iterable[Segment], labels: Sequence[str]) -> None:
    """Write the segments of a video as subtitles, atomically."""
    lines = []
    for index, (start, end, number, score) in enumerate(segments, start=1):
        times = f'{srt_time(start)} --> {srt_time(end)}'
        lines.append(f'{index}\n{times}\n{labels[number]} {score:.2f}\n')
    with atomic_write(path, parents=True) as partial:
        partial.write_text('\n'.join(lines), 'utf-8')


def srt_time(seconds: float) -> str:
    """Format a time for subtitles, ``hours:minutes:seconds,milliseconds``."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f'{hours:02}:{minutes:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}'


def write_csv(
    path: Path, segments: Iterable[tuple[str, Sequence[Segment]]], labels: Sequence[str]
) -> None:
    """Write the segments of videos as a CSV table with one line each, atomically."""
    with atomic_write(path, parents=True) as partial, open(
        partial, 'w', encoding='utf-8', newline=''
    ) as file:
        table = csv.writer(file)
        table.writerow(['video', 'start', 'end', 'class', 'score'])
        for video, found in segments:
            for start, end, number, score in found:
                times = f'{start:.3f}', f'{end:.3f}'
                table.writerow([escape_bytes(video), *times, labels[number], f'{score:.4f}'])

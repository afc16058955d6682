"""Write predictions over time: JSON, annotated copies of videos, and segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.structures import ActionDataSample

from .._atomic import check_writable
from .._errors import InputError, escape_bytes
from .draw import draw_video
from .predict import predict_over_time
from .segments import Segment, find_segments, write_csv, write_srt
from .sliding_window import SlidingWindow


def best_classes(scores: np.ndarray, labels: Sequence[str], top: int) -> list[dict[str, Any]]:
    """Return number, label and score of the ``top`` best classes, best first, for JSON."""
    best = np.argsort(-scores, kind='stable')[:top].tolist()
    return [dict(number=n, label=labels[n], score=float(scores[n])) for n in best]


def to_dict(
    video: str, prediction: ActionDataSample | InputError, labels: Sequence[str], top: int
) -> dict[str, Any]:
    """Convert a prediction to types that JSON supports.

    The keys are ``video`` and ``error``, or ``video``, ``frames``, ``fps`` and ``classes``.
    """
    if isinstance(prediction, InputError):
        return dict(video=video, error=str(prediction))
    return dict(
        video=video,
        frames=prediction.total_frames,
        fps=prediction.get('avg_fps', 0.0),
        classes=best_classes(prediction.pred_score.cpu().numpy(), labels, top),
    )


class OverTime:
    """Score videos over time, and write an annotated copy and the segments of each.

    ``draw`` is a folder of annotated copies, or FILE.mp4 for a single video. ``segments`` is
    FILE.csv, FILE.srt for a single video, or a folder of .srt files; clips with a score above
    ``threshold`` belong to one. ``top`` classes are written or drawn. Raises an InputError if an
    output cannot be written.
    """

    def __init__(
        self,
        videos: Mapping[str, Path],
        draw: Path | None,
        segments: Path | None,
        threshold: float,
        top: int,
    ) -> None:
        self.threshold, self.top = threshold, top
        self.copies = output_paths(draw, '.mp4', videos) if draw else {}
        self.table = segments if segments and segments.suffix == '.csv' else None
        self.subtitles: dict[Path, Path] = {}
        if self.table:
            check_writable(self.table)
        elif segments:
            self.subtitles = output_paths(segments, '.srt', videos)
        self.found: list[tuple[str, list[Segment]]] = []

    def write(
        self,
        model: BaseRecognizer,
        window: SlidingWindow,
        labels: Sequence[str],
        video: Path,
        name: str,
    ) -> list[dict[str, Any]]:
        """Score a video and write its outputs; ``name`` identifies it in the table of segments.

        Returns ``start`` and ``end`` of each clip in seconds, and its ``classes``.
        """
        scores = predict_over_time(model, window, video)
        if (times := scores.seconds) is None:
            raise InputError(f'{video}: has no frame rate, which the seconds of clips need')
        segments = find_segments(scores.values, times, self.threshold)
        self.found.append((name, segments))
        if video in self.subtitles:
            write_srt(self.subtitles[video], segments, labels)
        if video in self.copies:
            draw_video(video, self.copies[video], scores, labels, self.top)
        return [
            dict(start=start, end=end, classes=best_classes(clip, labels, self.top))
            for (start, end), clip in zip(times.round(3).tolist(), scores.values)
        ]

    def finish(self, labels: Sequence[str]) -> None:
        """Write the table of the segments of all videos, if requested."""
        if self.table:
            write_csv(self.table, self.found, labels)


def output_paths(target: Path, suffix: str, videos: Mapping[str, Path]) -> dict[Path, Path]:
    """Return the output path of each video; ``videos`` are given by name.

    ``target`` is a folder or, for a single video, a file with the suffix. Raises an InputError if
    it is neither, is not writable, or is an input video.
    """
    if target.is_dir() or not target.suffix:
        names = {
            video: name[:-4] if video.suffix == '.mp4' else name for name, video in videos.items()
        }
        outputs = {video: target / escape_bytes(name + suffix) for video, name in names.items()}
    elif target.suffix == suffix and len(videos) <= 1:
        outputs = dict.fromkeys(videos.values(), target)
    else:
        raise InputError(f'{target}: name a folder, or for a single video a file with {suffix}')
    originals = {video.resolve() for video in outputs}
    for path in outputs.values():
        if path.resolve() in originals:
            raise InputError(f'{path}: is a video itself: give another folder to draw into')
    for path in list(outputs.values())[:1]:  # a shard may have no videos
        check_writable(path)
    return outputs

"""When the frames of a video are shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._errors import InputError, VideoInputError

ROUNDING = 0.001  # seconds to which Matroska and FLV round timestamps
EPSILON = 1e-6  # seconds that times computed from a frame rate may be off


class FrameTimes:
    """The times at which the frames of a video are shown, in seconds from the first.

    Where timestamps are those of a constant frame rate but for rounding, or there are none, frame i
    is shown at ``i / fps``; the last frame is shown for as long as the one before it.

    Args:
        count: Number of frames.
        fps: Average number of frames a second, 0 if unknown.
        timestamps: Seconds from the first frame to each, rising. Defaults to None: unknown.

    Attributes:
        starts: The time of each frame.
        end: The time at which the last frame ends.
        slack: Seconds by which a frame may be shown before its time.

    Raises:
        VideoInputError: If neither a frame rate nor timestamps are known.
    """

    def __init__(self, count: int, fps: float, timestamps: np.ndarray | None = None) -> None:
        constant = np.arange(count) / fps if fps else None
        if timestamps is None or (
            constant is not None and np.abs(timestamps - constant).max() <= ROUNDING
        ):
            if constant is None:
                raise VideoInputError('has no frame rate: re-encode it, or drop target_fps')
            self.starts, self.slack = constant, EPSILON
            self.end = count / fps
        else:
            self.starts, self.slack = timestamps, ROUNDING
            last = timestamps[-1] - timestamps[-2] if count > 1 else 1.0
            self.end = float(timestamps[-1] + last)

    @classmethod
    def of(cls, results: dict[str, Any]) -> FrameTimes:
        """Those of an opened video; an InputError that names it if its frame rate is unknown."""
        name = results.get('filename') or results.get('frame_dir') or 'frames'
        if 'avg_fps' not in results:
            reason = 'target_fps needs a frame rate, which OpenVideo finds in a video'
            raise InputError(f'{name}: {reason}: use frame_interval for frames without one')
        timestamps = getattr(results.get('video_reader'), 'timestamps', None)
        try:
            return cls(results['total_frames'], results['avg_fps'], timestamps)
        except VideoInputError as error:
            raise VideoInputError(f'{name}: {error}') from error

    def shown_at(self, times: np.ndarray) -> np.ndarray:
        """Numbers of the frames shown at times; those past the end start over."""
        times = np.mod(times + self.slack, self.end)
        return np.searchsorted(self.starts, times, 'right') - 1

    def are_inside(self, times: np.ndarray) -> np.ndarray:
        """Whether a frame is shown at these times."""
        return times + self.slack < self.end

"""Display times of the frames of a video."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._errors import InputError, VideoInputError

ROUNDING = 0.001  # seconds to which Matroska and FLV round timestamps
EPSILON = 1e-6  # largest error in seconds of times computed from a frame rate


class FrameTimes:
    """The times at which the frames of a video are shown, in seconds from the first frame.

    If timestamps are unknown, or equal those of a constant frame rate up to rounding, frame i is
    shown at ``i / fps``. The last frame is shown for as long as the frame before it.

    Args:
        count: Number of frames.
        fps: Average frames per second, 0 if unknown.
        timestamps: Seconds from the first frame to each, increasing. Defaults to None: unknown.

    Attributes:
        starts: Start time of each frame.
        end: End time of the last frame.
        slack: Tolerance in seconds by which a frame may be shown before its time.

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
        """Build the times of an opened video; raise an InputError if its rate is unknown."""
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
        """Return the numbers of the frames shown at times; times past the end wrap around."""
        times = np.mod(times + self.slack, self.end)
        return np.searchsorted(self.starts, times, 'right') - 1

    def are_inside(self, times: np.ndarray) -> np.ndarray:
        """Whether a frame is shown at each of the times."""
        return times + self.slack < self.end

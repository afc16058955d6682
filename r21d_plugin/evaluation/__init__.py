"""Metrics and reports."""

from .. import _needs_mmaction  # noqa: F401
from .clip_video_accuracy import ClipVideoAccuracy

__all__ = ['ClipVideoAccuracy']

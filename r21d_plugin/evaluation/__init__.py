"""Metrics and reports."""

from .clip_video_accuracy import ClipVideoAccuracy

__all__ = ['ClipVideoAccuracy']

"""Metrics, result files, curves and reports."""

from .. import _needs_mmaction  # noqa: F401
from .clip_video_accuracy import ClipVideoAccuracy
from .video_metrics import MultiLabelMetric, OrdinalMetric, RegressionMetric

__all__ = ['ClipVideoAccuracy', 'MultiLabelMetric', 'OrdinalMetric', 'RegressionMetric']

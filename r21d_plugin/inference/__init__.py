"""Prediction, feature extraction and export with trained networks."""

from .. import _needs_mmaction  # noqa: F401

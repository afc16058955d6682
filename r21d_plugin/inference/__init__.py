"""Predictions, features and exported files from a config and a checkpoint."""

from .. import _needs_mmaction  # noqa: F401

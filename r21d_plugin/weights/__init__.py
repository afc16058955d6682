"""Checkpoints in and out."""

from .loading import check_match, load_from_local

__all__ = ['check_match', 'load_from_local']

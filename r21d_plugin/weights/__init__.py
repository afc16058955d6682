"""Checkpoints in and out."""

from .fusing import fuse_checkpoints
from .initializers import PretrainedRGB
from .loading import STREAMS, check_match, load_from_local, load_matching, save_checkpoint

__all__ = [
    'STREAMS',
    'PretrainedRGB',
    'check_match',
    'fuse_checkpoints',
    'load_from_local',
    'load_matching',
    'save_checkpoint',
]

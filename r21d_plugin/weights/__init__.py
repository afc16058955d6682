"""Checkpoints in and out."""

from .download import download
from .files import load_from_local, load_state_dict_of, save_checkpoint
from .forms import translated
from .fusing import fuse_checkpoints
from .initializers import PretrainedRGB
from .loading import (
    STREAMS,
    check_match,
    load_matching,
    loaded_in_words,
    understand,
)
from .public import PublicWeights, Published, find_weights

__all__ = [
    'STREAMS',
    'PretrainedRGB',
    'PublicWeights',
    'Published',
    'check_match',
    'download',
    'find_weights',
    'fuse_checkpoints',
    'load_from_local',
    'load_matching',
    'load_state_dict_of',
    'loaded_in_words',
    'save_checkpoint',
    'translated',
    'understand',
]

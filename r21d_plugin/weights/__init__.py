"""Weights in and out: public ones by name, and files of any public form."""

from .download import download
from .files import load_checkpoint, load_state_dict_of, save_checkpoint
from .forms import translated
from .fusing import fuse_checkpoints
from .loading import (
    STREAMS,
    check_match,
    load_matching,
    load_weights,
    loaded_in_words,
    set_eps,
)
from .public import PublicWeights, Published, find_weights

__all__ = [
    'STREAMS',
    'PublicWeights',
    'Published',
    'check_match',
    'download',
    'find_weights',
    'fuse_checkpoints',
    'load_checkpoint',
    'load_matching',
    'load_state_dict_of',
    'load_weights',
    'loaded_in_words',
    'save_checkpoint',
    'set_eps',
    'translated',
]

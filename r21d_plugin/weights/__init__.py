"""Weights in and out: public ones by name, and files of any public format."""

from .checkpoint_files import download, load_checkpoint, load_state_dict_of, save_checkpoint
from .conversion import fuse_checkpoints
from .formats import convert_state_dict
from .loading import (
    STREAMS,
    check_match,
    format_loaded,
    load_matching,
    load_weights,
    set_eps,
)
from .pickles import load_pickle_as_data
from .public import PublicWeights, Published, find_weights, list_weights
from .safe_globals import RefusalError

__all__ = [
    'STREAMS',
    'PublicWeights',
    'Published',
    'RefusalError',
    'check_match',
    'convert_state_dict',
    'download',
    'find_weights',
    'format_loaded',
    'fuse_checkpoints',
    'list_weights',
    'load_checkpoint',
    'load_matching',
    'load_pickle_as_data',
    'load_state_dict_of',
    'load_weights',
    'save_checkpoint',
    'set_eps',
]

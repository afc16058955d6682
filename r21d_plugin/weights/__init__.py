"""Load and publish weights: public weights by name, and files of any public format."""

from .checkpoint_files import (
    download,
    find_state_dict,
    load_checkpoint,
    load_state_dict_of,
    save_checkpoint,
    tensors_alone,
)
from .formats import Weights, identify, infer_network
from .loading import (
    STREAMS,
    fuse_checkpoints,
    load_matching,
    load_weights,
    match_weights,
    read_weights,
)
from .pickles import RefusalError, load_pickle_as_data
from .public import PublicWeights, Published, classes_of, find_weights, list_weights

__all__ = ['STREAMS', 'PublicWeights', 'Published', 'RefusalError', 'Weights', 'classes_of']
__all__ += [
    'download',
    'find_state_dict',
    'find_weights',
    'fuse_checkpoints',
    'identify',
    'infer_network',
    'list_weights',
]
__all__ += ['load_checkpoint', 'load_matching', 'load_pickle_as_data', 'load_state_dict_of']
__all__ += ['load_weights', 'match_weights', 'read_weights', 'save_checkpoint']
__all__ += ['tensors_alone']

"""R(2+1)D and its family, as a PyTorch library and a plugin for MMAction2.

Tran et al., *A Closer Look at Spatiotemporal Convolutions for Action Recognition*, CVPR 2018
(https://arxiv.org/abs/1711.11248).

Importing the package requires only PyTorch. If MMAction2 imports it for a config
(``custom_imports``), :mod:`r21d_plugin.registry` is imported too.
"""

import sys

from ._errors import InputError
from .models.accelerate import accelerate
from .models.factory import create_model, list_models
from .version import __version__
from .weights import PublicWeights, load_weights
from .weights.public import list_weights

if 'mmaction.registry' in sys.modules:
    from . import registry  # noqa: F401

__all__ = ['InputError', 'PublicWeights', '__version__', 'accelerate', 'create_model']
__all__ += ['list_models', 'list_weights', 'load_weights']

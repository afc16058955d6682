"""R(2+1)D and its family for MMAction2.

Tran et al., *A Closer Look at Spatiotemporal Convolutions for Action
Recognition*, CVPR 2018 (https://arxiv.org/abs/1711.11248).
"""

from . import compat

compat.apply()

from . import datasets, engine, evaluation, models, registry  # noqa: E402
from ._errors import InputError  # noqa: E402
from .models.zoo import create_model, list_models  # noqa: E402
from .version import __version__  # noqa: E402
from .weights import PublicWeights  # noqa: E402

registry.share_with_mmaction()

__all__ = [
    'InputError',
    'PublicWeights',
    '__version__',
    'create_model',
    'datasets',
    'engine',
    'evaluation',
    'list_models',
    'models',
    'registry',
]

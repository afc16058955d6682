"""The registries of scope ``r21d_plugin``, with all registered classes.

MMEngine imports this module when it meets ``type='r21d_plugin.X'``, so a scoped name works in any
config without ``custom_imports``.
"""

from . import _needs_mmaction  # noqa: F401
from ._registries import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    WEIGHT_INITIALIZERS,
)
from .datasets import LabelledVideoDataset  # noqa: F401, the package registers all of it
from .engine import EpochSeedHook  # noqa: F401, likewise
from .evaluation import clip_video_accuracy, scores, video_metrics  # noqa: F401
from .models import (  # noqa: F401, the last three register what they have
    FR2D,
    R2D,
    R3D,
    MCx,
    R2Plus1D,
    RMCx,
    VideoResNet,
    heads,
    recognizer,
    two_stream,
)
from .weights import initializers  # noqa: F401

__all__ = ['DATASETS', 'DATA_SAMPLERS', 'HOOKS', 'METRICS', 'MODELS', 'OPTIM_WRAPPERS']
__all__ += ['PARAM_SCHEDULERS', 'TRANSFORMS', 'WEIGHT_INITIALIZERS']

for _backbone in (R2D, FR2D, R3D, MCx, RMCx, R2Plus1D, VideoResNet):
    MODELS.register_module(module=_backbone)

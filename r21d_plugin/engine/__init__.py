"""Training and testing in MMEngine's runner: hooks, schedules and the optimizer wrapper."""

from .. import _needs_mmaction  # noqa: F401
from .checkpoints import ResumableCheckpointHook
from .hooks import (
    AccelerateHook,
    CheckpointMatchHook,
    ClassCountHook,
    EpochSeedHook,
    FiniteLossHook,
    TrainingAccuracyHook,
)
from .memory import keep_freed_memory
from .model_checks import check_model
from .optim import BFloat16OptimWrapper, GradualWarmupLR
from .pictures import PredictionPicturesHook
from .skipped_videos import SkippedVideosHook
from .training_time import TrainingTimeHook

__all__ = [
    'AccelerateHook',
    'BFloat16OptimWrapper',
    'CheckpointMatchHook',
    'ClassCountHook',
    'EpochSeedHook',
    'FiniteLossHook',
    'GradualWarmupLR',
    'PredictionPicturesHook',
    'ResumableCheckpointHook',
    'SkippedVideosHook',
    'TrainingAccuracyHook',
    'TrainingTimeHook',
    'check_model',
    'keep_freed_memory',
]

"""Hooks, schedulers and the optimizer wrapper for MMEngine's runner."""

from .. import _needs_mmaction  # noqa: F401
from .checkpoints import ResumableCheckpointHook
from .early_stopping import ResumableEarlyStoppingHook
from .hooks import (
    AccelerateHook,
    CheckpointMatchHook,
    EpochSeedHook,
    FiniteLossHook,
    TrainingAccuracyHook,
)
from .memory import keep_freed_memory
from .model_checks import check_model
from .optim import BFloat16OptimWrapper, GradualWarmupLR
from .pictures import PredictionPicturesHook
from .skipped_videos import SkippedVideosHook
from .tasks import TaskHook
from .training_time import TrainingTimeHook

__all__ = [
    'AccelerateHook',
    'BFloat16OptimWrapper',
    'CheckpointMatchHook',
    'EpochSeedHook',
    'FiniteLossHook',
    'GradualWarmupLR',
    'PredictionPicturesHook',
    'ResumableCheckpointHook',
    'ResumableEarlyStoppingHook',
    'SkippedVideosHook',
    'TaskHook',
    'TrainingAccuracyHook',
    'TrainingTimeHook',
    'check_model',
    'keep_freed_memory',
]

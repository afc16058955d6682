"""Training and testing in MMEngine's runner: hooks, schedules and the optimizer wrapper."""

from .checkpoints import ResumableCheckpointHook
from .hooks import (
    AccelerateHook,
    CheckpointMatchHook,
    ClassCountHook,
    EpochSeedHook,
    TrainingAccuracyHook,
)
from .memory import keep_freed_memory
from .model_checks import check_model
from .optim import BFloat16OptimWrapper, GradualWarmupLR
from .pictures import PredictionPicturesHook
from .skipped_videos import SkippedVideosHook

__all__ = ['AccelerateHook', 'BFloat16OptimWrapper', 'CheckpointMatchHook', 'ClassCountHook']
__all__ += ['EpochSeedHook', 'GradualWarmupLR', 'PredictionPicturesHook', 'ResumableCheckpointHook']
__all__ += ['SkippedVideosHook', 'TrainingAccuracyHook', 'check_model', 'keep_freed_memory']

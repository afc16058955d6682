"""Training and testing in MMEngine's runner: hooks, schedules and the optimizer wrapper."""

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
from .optim import BFloat16OptimWrapper, GradualWarmupLR
from .pictures import PredictionPicturesHook
from .skipped_videos import SkippedVideosHook

__all__ = ['AccelerateHook', 'BFloat16OptimWrapper', 'CheckpointMatchHook', 'ClassCountHook']
__all__ += ['EpochSeedHook', 'FiniteLossHook', 'GradualWarmupLR', 'PredictionPicturesHook']
__all__ += ['ResumableCheckpointHook', 'SkippedVideosHook', 'TrainingAccuracyHook']
__all__ += ['keep_freed_memory']

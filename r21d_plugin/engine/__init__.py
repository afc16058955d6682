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
from .optim_wrappers import BFloat16OptimWrapper
from .pictures import PredictionPicturesHook
from .schedulers import GradualWarmupLR
from .skipped_videos import SkippedVideosHook

__all__ = [
    'AccelerateHook',
    'BFloat16OptimWrapper',
    'CheckpointMatchHook',
    'ClassCountHook',
    'EpochSeedHook',
    'GradualWarmupLR',
    'PredictionPicturesHook',
    'ResumableCheckpointHook',
    'SkippedVideosHook',
    'TrainingAccuracyHook',
    'keep_freed_memory',
]

"""Training and testing: processes, devices, hooks and schedules."""

from .checkpoints import ResumableCheckpointHook
from .hooks import CheckpointMatchHook, ClassCountHook, EpochSeedHook, TrainingAccuracyHook
from .launch import errors_in_one_line
from .memory import keep_freed_memory
from .optim_wrappers import BFloat16OptimWrapper
from .pictures import PredictionPicturesHook
from .schedulers import GradualWarmupLR
from .skipped_videos import SkippedVideosHook

__all__ = [
    'BFloat16OptimWrapper',
    'CheckpointMatchHook',
    'ClassCountHook',
    'EpochSeedHook',
    'GradualWarmupLR',
    'PredictionPicturesHook',
    'ResumableCheckpointHook',
    'SkippedVideosHook',
    'TrainingAccuracyHook',
    'errors_in_one_line',
    'keep_freed_memory',
]

"""Training and testing: processes, devices, hooks and schedules."""

from .checkpoints import ResumableCheckpointHook
from .hooks import CheckpointMatchHook, ClassCountHook, EpochSeedHook, TrainingAccuracyHook
from .launch import errors_in_one_line
from .memory import keep_freed_memory
from .optim_wrappers import BFloat16OptimWrapper
from .schedulers import GradualWarmupLR

__all__ = [
    'BFloat16OptimWrapper',
    'CheckpointMatchHook',
    'ClassCountHook',
    'EpochSeedHook',
    'GradualWarmupLR',
    'ResumableCheckpointHook',
    'TrainingAccuracyHook',
    'errors_in_one_line',
    'keep_freed_memory',
]

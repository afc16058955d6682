"""Training and testing: processes, devices, hooks and schedules."""

from .hooks import CheckpointMatchHook, ClassCountHook, EpochSeedHook
from .launch import errors_in_one_line
from .schedulers import GradualWarmupLR

__all__ = [
    'CheckpointMatchHook',
    'ClassCountHook',
    'EpochSeedHook',
    'GradualWarmupLR',
    'errors_in_one_line',
]

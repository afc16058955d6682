"""The paper's comparisons, repeated on the harder motion dataset."""

from .plan import SCALES, Run, Scale, epochs_of, runs
from .report import write_report
from .running import run_all
from .videos import make_videos

__all__ = [
    'SCALES',
    'Run',
    'Scale',
    'epochs_of',
    'make_videos',
    'run_all',
    'runs',
    'write_report',
]

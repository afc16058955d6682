"""Datasets, decoding, clip sampling and data samplers."""

from .. import _needs_mmaction  # noqa: F401
from .checked_pipeline import CheckedPipeline
from .decoding import DecordClipDecode, DecordClipInit, OpenVideo, ReadFrames
from .flow import FarnebackFlow
from .samplers import EpochSizeSampler
from .sampling import SampleClips, SampleFramesOfClips
from .transforms import FixedCrops, RandomShift, ToGray
from .video_dataset import LabelledVideoDataset
from .wrappers import inner_datasets

__all__ = [
    'CheckedPipeline',
    'DecordClipDecode',
    'DecordClipInit',
    'EpochSizeSampler',
    'FarnebackFlow',
    'FixedCrops',
    'LabelledVideoDataset',
    'OpenVideo',
    'RandomShift',
    'ReadFrames',
    'SampleClips',
    'SampleFramesOfClips',
    'ToGray',
    'inner_datasets',
]

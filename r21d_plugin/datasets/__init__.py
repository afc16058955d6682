"""Datasets, decoding, clip sampling and data samplers."""

from .decoding import DecordClipDecode, DecordClipInit
from .flow import FarnebackFlow
from .samplers import EpochSizeSampler
from .sampling import SampleClips
from .video_dataset import LabelledVideoDataset
from .wrappers import inner_datasets

__all__ = ['DecordClipDecode', 'DecordClipInit', 'EpochSizeSampler', 'FarnebackFlow']
__all__ += ['LabelledVideoDataset', 'SampleClips', 'inner_datasets']

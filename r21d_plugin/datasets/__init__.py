"""Datasets, decoding, clip sampling and data samplers."""

from .checked_pipeline import CheckedPipeline
from .decoding import DecordClipDecode, DecordClipInit, OpenVideo, ReadFrames
from .flow import FarnebackFlow
from .sampling import EpochSizeSampler, SampleClips, SampleFramesOfClips
from .video_dataset import LabelledVideoDataset

__all__ = ['CheckedPipeline', 'DecordClipDecode', 'DecordClipInit', 'EpochSizeSampler']
__all__ += ['FarnebackFlow', 'LabelledVideoDataset', 'OpenVideo', 'ReadFrames', 'SampleClips']
__all__ += ['SampleFramesOfClips']

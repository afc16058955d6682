"""Backbones, heads and recognizers."""

from .head import ClipHead
from .layers import Conv2D, Conv2Plus1D, Conv3D, ConvOverClip, factorized_channels
from .recognizer import MultiClipRecognizer, precision_of
from .two_stream import TwoStreamBackbone, TwoStreamHead, TwoStreamRecognizer
from .video_resnet import FR2D, R2D, R3D, MCx, R2Plus1D, RMCx, VideoResNet

__all__ = [
    'FR2D',
    'R2D',
    'R3D',
    'ClipHead',
    'Conv2D',
    'Conv2Plus1D',
    'Conv3D',
    'ConvOverClip',
    'MCx',
    'MultiClipRecognizer',
    'R2Plus1D',
    'RMCx',
    'TwoStreamBackbone',
    'TwoStreamHead',
    'TwoStreamRecognizer',
    'VideoResNet',
    'factorized_channels',
    'precision_of',
]

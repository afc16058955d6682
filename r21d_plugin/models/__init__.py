"""The networks, which need PyTorch alone; heads and recognizers are MMAction2's."""

from .accelerate import accelerate
from .layers import factorized_channels
from .networks import FR2D, R2D, R3D, MCx, R2Plus1D, RMCx
from .video_resnet import VideoResNet

__all__ = [
    'FR2D',
    'R2D',
    'R3D',
    'MCx',
    'R2Plus1D',
    'RMCx',
    'VideoResNet',
    'accelerate',
    'factorized_channels',
]

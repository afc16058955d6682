"""The networks (PyTorch only), and the heads and recognizers for MMAction2."""

from .accelerate import accelerate
from .layers import factorized_channels
from .video_resnet import FR2D, R2D, R3D, MCx, R2Plus1D, RMCx, VideoResNet

__all__ = ['FR2D', 'R2D', 'R3D', 'MCx', 'R2Plus1D', 'RMCx', 'VideoResNet', 'accelerate']
__all__ += ['factorized_channels']

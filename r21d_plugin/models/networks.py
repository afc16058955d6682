"""The networks of the paper: which form each group of convolutions has (Table 1)."""

from typing import Any

from .._errors import InputError
from .video_resnet import Midplanes, VideoResNet


class FR2D(VideoResNet):
    """f-R2D: 2D convolutions over frames (Section 3.2).

    Args:
        depth (int): Layers, 18 or 34.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, ['2D'] * 5, **kwargs)


class R2D(VideoResNet):
    """R2D: 2D convolutions over the entire clip (Section 3.1).

    conv1 spans all frames, so the network fits one clip length only and its
    feature maps have a single time step.

    Args:
        depth (int): Layers, 18 or 34.
        clip_len (int): Frames of a clip.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, clip_len: int, **kwargs: Any) -> None:
        if not isinstance(clip_len, int) or clip_len < 1:
            raise InputError(f'clip_len={clip_len!r}: use a whole number from 1 on')
        super().__init__(depth, ['2D'] * 5, clip_len=clip_len, **kwargs)


class R3D(VideoResNet):
    """R3D: 3D convolutions (Section 3.3, Table 1).

    Args:
        depth (int): Layers, 18 or 34.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, ['3D'] * 5, **kwargs)


class MCx(VideoResNet):
    """MCx: 3D convolutions below group x, 2D from there on (Section 3.4).

    Args:
        depth (int): Layers, 18 or 34.
        x (int): First group of 2D convolutions, 2 to 5.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, x: int, **kwargs: Any) -> None:
        super().__init__(depth, mixed('3D', '2D', x), **kwargs)


class RMCx(VideoResNet):
    """rMCx: 2D convolutions below group x, 3D from there on (Section 3.4).

    Args:
        depth (int): Layers, 18 or 34.
        x (int): First group of 3D convolutions, 2 to 5.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, x: int, **kwargs: Any) -> None:
        super().__init__(depth, mixed('2D', '3D', x), **kwargs)


class R2Plus1D(VideoResNet):
    """R(2+1)D: (2+1)D convolutions (Section 3.5).

    Args:
        depth (int): Layers, 18 or 34.
        midplanes (str): Where the mid channels M_i are computed from.
            ``'layer'``: each convolution's own channels, the paper's formula.
            ``'block'``: those of its residual block, as torchvision does,
            whose public weights need it. Defaults to ``'layer'``.
        **kwargs: Arguments of :class:`VideoResNet`.
    """

    def __init__(self, depth: int, midplanes: Midplanes = 'layer', **kwargs: Any) -> None:
        super().__init__(depth, ['(2+1)D'] * 5, midplanes=midplanes, **kwargs)


def mixed(below: str, from_x: str, x: int) -> list[str]:
    """Forms of the five groups that change at group x (Section 3.4)."""
    if x not in range(2, 6):
        raise InputError(f'x={x!r}: mixed networks change at group 2, 3, 4 or 5')
    return [below] * (x - 1) + [from_x] * (6 - x)

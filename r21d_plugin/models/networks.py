"""The networks of the paper, as the forms of a :class:`VideoResNet` of 18 or 34 layers (Table 1).

Keyword arguments are those of :class:`VideoResNet`.
"""

from typing import Any

from .video_resnet import Midplanes, VideoResNet, check_choice, check_whole


class FR2D(VideoResNet):
    """f-R2D: 2D convolutions over frames (Section 3.2)."""

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, ['2D'] * 5, **kwargs)


class R2D(VideoResNet):
    """R2D: 2D convolutions over a whole clip of ``clip_len`` frames (Section 3.1).

    conv1 spans all frames, so feature maps have a single time step.
    """

    def __init__(self, depth: int, clip_len: int, **kwargs: Any) -> None:
        check_whole('clip_len', clip_len)
        super().__init__(depth, ['2D'] * 5, clip_len=clip_len, **kwargs)


class R3D(VideoResNet):
    """R3D: 3D convolutions (Section 3.3)."""

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(depth, ['3D'] * 5, **kwargs)


class MCx(VideoResNet):
    """MCx: 3D convolutions below group ``x`` (2 to 5), 2D from there on (Section 3.4)."""

    def __init__(self, depth: int, x: int, **kwargs: Any) -> None:
        super().__init__(depth, mixed('3D', '2D', x), **kwargs)


class RMCx(VideoResNet):
    """rMCx: 2D convolutions below group ``x`` (2 to 5), 3D from there on (Section 3.4)."""

    def __init__(self, depth: int, x: int, **kwargs: Any) -> None:
        super().__init__(depth, mixed('2D', '3D', x), **kwargs)


class R2Plus1D(VideoResNet):
    """R(2+1)D: (2+1)D convolutions (Section 3.5).

    ``midplanes`` says what the mid channels M_i are computed from: with ``'layer'`` each
    convolution's own channels, as in the paper; with ``'block'`` those of its residual block, as in
    torchvision and its public weights.
    """

    def __init__(self, depth: int, midplanes: Midplanes = 'layer', **kwargs: Any) -> None:
        super().__init__(depth, ['(2+1)D'] * 5, midplanes=midplanes, **kwargs)


def mixed(below: str, from_x: str, x: int) -> list[str]:
    """Forms of five groups that change at group x."""
    check_choice('x', x, range(2, 6))
    return [below] * (x - 1) + [from_x] * (6 - x)

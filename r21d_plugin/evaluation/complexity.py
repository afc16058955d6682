"""Parameters and multiply-adds of a network."""

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..models.factory import create_model


class Complexity(NamedTuple):
    """What a network costs.

    Attributes:
        network (str): Its name.
        parameters (int): Parameters, classifier included.
        gflops (float): Multiply-adds of its convolutions and classifier for
            one clip, in units of 10^9, as the paper and its authors count.
        output (tuple[int, ...]): C, T, H, W of the last convolution's output.
    """

    network: str
    parameters: int
    gflops: float
    output: tuple[int, ...]


def measure(
    name: str, clip_len: int = 8, size: int = 112, in_channels: int = 3, num_classes: int = 400
) -> Complexity:
    """Measure a network on one clip.

    Args:
        name (str): Name that :func:`r21d_plugin.create_model` takes.
        clip_len (int): Frames. Defaults to 8.
        size (int): Height and width in pixels. Defaults to 112.
        in_channels (int): Channels of a frame. Defaults to 3.
        num_classes (int): Classes. Defaults to 400.

    Raises:
        InputError: If there is no such network.
    """
    # On the meta device nothing is stored or computed but shapes.
    with torch.device('meta'), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = create_model(name, num_classes, in_channels, clip_len).eval()
        feature = model.forward_features(torch.empty(1, in_channels, clip_len, size, size))
        model.forward_head(feature)
    return Complexity(
        name,
        sum(parameter.numel() for parameter in model.parameters()),
        counter.get_total_flops() / 2e9,  # it counts a multiply-add as two
        tuple(feature.shape[1:]),
    )

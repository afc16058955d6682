"""Print parameters, multiply-adds and output shape of networks, by default those of the paper."""

from __future__ import annotations

import argparse
from typing import NamedTuple

import torch

from r21d_plugin import create_model, list_models
from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from tabulate import tabulate
    from torch.utils.flop_counter import FlopCounterMode


class Complexity(NamedTuple):
    """The cost of a network."""

    network: str  # its name
    parameters: int  # number, including the classifier's
    gflops: float  # multiply-adds of convolutions and classifier for one clip, in 10^9
    output: tuple[int, ...]  # C, T, H, W of the last convolution's output


def measure(
    name: str, clip_len: int = 8, size: int = 112, in_channels: int = 3, num_classes: int = 400
) -> Complexity:
    """Measure a network on one clip of ``size`` x ``size`` pixels."""
    # On the meta device, only shapes are computed.
    with torch.device('meta'), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = create_model(name, num_classes, in_channels, clip_len).eval()
        feature = model.forward_features(torch.empty(1, in_channels, clip_len, size, size))
        model.forward_head(feature)
    return Complexity(
        name,
        sum(parameter.numel() for parameter in model.parameters()),
        counter.get_total_flops() / 2e9,  # the counter counts a multiply-add as two
        tuple(feature.shape[1:]),
    )


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'networks', nargs='*', help='names such as r2plus1d_152; default: all with 18 and 34 layers'
    )
    parser.add_argument('--clip-len', type=int, default=8, help='frames per clip (8)')
    parser.add_argument('--size', type=int, default=112, help='height and width in pixels (112)')
    parser.add_argument('--in-channels', type=int, default=3, help='channels of a frame (3)')
    parser.add_argument('--num-classes', type=int, default=400, help='classes (400)')
    parser.add_argument('--markdown', action='store_true', help='print a Markdown table')
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    args = parse_args()
    with errors_in_one_line():
        rows = [
            measure(name, args.clip_len, args.size, args.in_channels, args.num_classes)
            for name in args.networks or [*list_models(18), *list_models(34)]
        ]
        header = ['network', 'parameters', 'GFLOPs', 'output C x T x H x W']
        table = [
            [
                row.network,
                f'{row.parameters:,}',
                f'{row.gflops:.1f}',
                ' x '.join(map(str, row.output)),
            ]
            for row in rows
        ]
        align = ('left', 'right', 'right', 'right')
        style = 'github' if args.markdown else 'simple'
        print(tabulate(table, header, tablefmt=style, colalign=align, disable_numparse=True))


if __name__ == '__main__':
    main()

"""Export a trained network to one ONNX or torch.export file that runs without this package."""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from r21d_plugin.cli.arguments import CHECKPOINT_HELP, add_config_options


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help=CHECKPOINT_HELP)
    parser.add_argument('out', type=Path, help='file to write: .onnx (ONNX) or .pt2 (torch.export)')
    parser.add_argument(
        '--clips',
        type=int,
        help='take N clips of each video and average their scores (the paper: 10); '
        'default: take single clips',
    )
    parser.add_argument(
        '--conv2d',
        action='store_true',
        help='write (2+1)D convolutions as 2D ones, with the same scores: faster in ONNX Runtime',
    )
    parser.add_argument(
        '--int8',
        metavar='LIST',
        help='quantise to int8 (ONNX) with 100 videos of this list, in the training folder; '
        'refused if accuracy on 500 test videos drops by more than 0.5 points',
    )
    add_config_options(parser)
    return parser.parse_args()


@contextmanager
def silence_exporters() -> Iterator[None]:
    """Suppress the warnings and log lines of exporters."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(level)


def main() -> None:
    """Export."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line

    with errors_in_one_line():
        from r21d_plugin.cli.launch import load_config
        from r21d_plugin.inference.export import export_recognizer

        cfg = load_config(args.config, args.cfg_options)
        with silence_exporters():
            metadata, difference = export_recognizer(
                cfg, args.checkpoint, args.out, args.clips, args.conv2d, args.int8
            )
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB')
    for kind in ('inputs', 'outputs'):
        for name, value in metadata[kind].items():
            shape = ' x '.join(map(str, value['shape']))
            print(f'{kind[:-1]} {name}: {shape} float32, {value["content"]}')
    for kind, value in metadata.get('accuracy', {}).items():
        print(f'accuracy in {kind}: {value:.1f}%')
    print(f"largest difference from the recognizer's scores: {difference:.1e} of the largest")


if __name__ == '__main__':
    main()

"""Write a trained network into one file, ONNX or torch.export's, that runs without this package."""

import argparse
from pathlib import Path

from mmengine.config import DictAction


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint',
        help='checkpoint file or URL; none for two streams whose checkpoints are named by '
        '--cfg-options model.checkpoints.rgb=... model.checkpoints.flow=...',
    )
    parser.add_argument(
        'out', type=Path, help='file to write: .onnx (ONNX) or .pt2 (a program of torch.export)'
    )
    parser.add_argument(
        '--clips',
        type=int,
        help='take so many clips of a video and average their scores (the paper: 10); '
        'default: take single clips',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='values of the config to override, as key.subkey=value',
    )
    return parser.parse_args()


def main() -> None:
    """Export."""
    args = parse_args()
    from r21d_plugin.engine import errors_in_one_line
    from r21d_plugin.engine.launch import load_config
    from r21d_plugin.inference.export import export_recognizer

    with errors_in_one_line():
        cfg = load_config(args.config, args.cfg_options)
        exported = export_recognizer(cfg, args.checkpoint, args.out, args.clips)
    print(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB')
    for kind in ('inputs', 'outputs'):
        for name, value in exported.metadata[kind].items():
            shape = ' x '.join(map(str, value['shape']))
            print(f'{kind[:-1]} {name}: {shape} float32, {value["content"]}')
    print(
        f"largest difference from the recognizer's scores: {exported.difference:.1e}, "
        f'largest score: {exported.largest:.2g}'
    )


if __name__ == '__main__':
    main()

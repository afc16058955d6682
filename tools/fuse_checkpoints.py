"""Fuse the checkpoints of an RGB and a flow network into one of the two-stream network."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('rgb', help='checkpoint of the RGB stream, file or URL')
    parser.add_argument('flow', help='checkpoint of the flow stream')
    parser.add_argument('out', type=Path, help='checkpoint to write')
    return parser.parse_args()


def main() -> None:
    """Fuse."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line
    from r21d_plugin.weights import fuse_checkpoints, save_checkpoint

    with errors_in_one_line():
        save_checkpoint(fuse_checkpoints(args.rgb, args.flow), args.out)
    print(args.out)


if __name__ == '__main__':
    main()

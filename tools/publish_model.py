"""Write a checkpoint for publication: weights and metadata, with the file's hash in the name.

The training state (optimizer, schedules, log) is left out. The text of the config is kept,
including the paths in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from r21d_plugin.cli.errors import errors_in_one_line


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='checkpoint, file or URL')
    parser.add_argument(
        'out',
        type=Path,
        help='NAME.pth or NAME.safetensors; NAME-1a2b3c4d.pth is written, with the first digits of '
        'its SHA-256',
    )
    return parser.parse_args()


def main() -> None:
    """Publish, and print the file and its size."""
    args = parse_args()
    with errors_in_one_line():
        from r21d_plugin.weights.publishing import publish

        path = publish(args.checkpoint, args.out)
        print(f'{path}  {path.stat().st_size / 1e6:,.1f} MB')


if __name__ == '__main__':
    main()

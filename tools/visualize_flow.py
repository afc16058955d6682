"""Draw the optical flow of a video: frames, flow in the usual colour wheel, and arrows."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('video', help='any video file')
    parser.add_argument(
        'out', type=Path, help='a video (.avi, .mp4), or else a picture (.png, .jpg)'
    )
    parser.add_argument('--start', type=int, default=0, help='first frame (0)')
    parser.add_argument('--step', type=int, default=1, help='frames between those shown (1)')
    parser.add_argument(
        '--count', type=int, help='frames to show, at most (a picture: 6, a video: all)'
    )
    parser.add_argument(
        '--scale',
        type=int,
        nargs=2,
        default=(171, 128),
        metavar=('WIDTH', 'HEIGHT'),
        help='size in pixels that flow is computed at (171 128, as networks see it)',
    )
    parser.add_argument('--zoom', type=int, default=2, help='size of the pictures (2)')
    parser.add_argument('--fps', type=float, default=10, help='frames a second of a video (10)')
    return parser.parse_args()


def main() -> None:
    """Draw."""
    args = parse_args()
    from r21d_plugin import InputError
    from r21d_plugin.cli.errors import errors_in_one_line
    from r21d_plugin.inference.draw_flow import draw_flow

    with errors_in_one_line():
        given = vars(args) | dict(scale=min(args.scale))
        for name, least in dict(start=0, step=1, count=1, scale=1, zoom=1, fps=1).items():
            if given[name] is not None and given[name] < least:
                raise InputError(f'--{name} has to be at least {least}')
        draw_flow(**vars(args) | dict(scale=tuple(args.scale)))
    print(args.out)


if __name__ == '__main__':
    main()

"""Draw the optical flow of a video: frames, flow in the usual colour wheel, and arrows."""

import argparse
from pathlib import Path

FILMS = ('.avi', '.mp4')


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('video', help='any video file')
    parser.add_argument(
        'out', type=Path, help=f'a video ({", ".join(FILMS)}), or else a picture (.png, .jpg)'
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
    from r21d_plugin.engine import errors_in_one_line
    from r21d_plugin.visualization import flow

    with errors_in_one_line():
        sizes = dict(step=args.step, zoom=args.zoom, fps=args.fps, scale=min(args.scale))
        if args.count is not None:
            sizes['count'] = args.count
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f'--{name} has to be at least 1')
        shown = flow.frame_flows(args.video, tuple(args.scale), args.start, args.step)
        if args.out.suffix.lower() in FILMS:
            flow.write_film(shown, args.out, args.count, args.zoom, args.fps)
        else:
            flow.write_strip(shown, args.out, args.count or 6, args.zoom)
    print(args.out)


if __name__ == '__main__':
    main()

"""Compute and store the optical flow of all videos of a folder, one file for each video.

Videos that do not decode are listed in OUT/broken_videos.txt. Run the same command again to resume
an interrupted run.
"""

import argparse
import sys
from pathlib import Path

from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from tqdm import tqdm

from r21d_plugin._errors import escape_bytes
from r21d_plugin.cli.sharding import add_shard_argument, cores_of_process, find_shard


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('videos', type=Path, help='folder of videos, searched with its subfolders')
    parser.add_argument('out', type=Path, help='folder to write to')
    workers = 'processes (default: all cores)'
    parser.add_argument('--workers', type=int, default=cores_of_process(), help=workers)
    parser.add_argument(
        '--scale',
        type=int,
        nargs=2,
        default=(171, 128),
        metavar=('WIDTH', 'HEIGHT'),
        help='size in pixels to which frames are resized first (171 128)',
    )
    add_shard_argument(parser)
    return parser.parse_args()


def main() -> None:
    """Extract."""
    args = parse_args()
    from r21d_plugin.datasets.flow_extraction import extract_all
    from r21d_plugin.datasets.video_files import find_videos, write_report

    with errors_in_one_line():
        shard = find_shard(args.shard)
        videos = shard.take(find_videos(args.videos))
        extracted = extract_all(args.videos, videos, args.out, tuple(args.scale), args.workers)
        try:
            done = list(
                tqdm(extracted, total=len(videos), unit='video', desc=escape_bytes(args.out))
            )
        except KeyboardInterrupt:
            sys.exit('error: stopped: run the same command again to resume')
        print(write_report(done, shard.name(args.out / 'broken_videos.txt')))


if __name__ == '__main__':
    main()

"""Make the annotation files that the configs read from the official ones of a benchmark.

Every annotated video is looked for, and opened to see that it decodes. What is missing, broken
or listed twice is left out and named in OUT/missing_videos.txt and so on; what is broken, with its
file and the reason.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from tabulate import tabulate
from tqdm import tqdm

DATASETS = ('kinetics400', 'sports1m', 'ucf101', 'hmdb51')


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('dataset', choices=DATASETS)
    parser.add_argument(
        '--videos', type=Path, required=True, help='folder of the videos, in any layout'
    )
    parser.add_argument(
        '--annotations',
        type=Path,
        nargs='+',
        required=True,
        metavar='FILE',
        help='official annotation files as distributed, or folders of them',
    )
    parser.add_argument('--out', type=Path, help='folder to write to (data/DATASET)')
    parser.add_argument('--no-check', action='store_true', help='do not open the videos')
    parser.add_argument(
        '--reencode',
        type=Path,
        metavar='DIR',
        help='encode the videos as the authors did, into this folder, and use these: 30 frames a '
        'second, shorter side 320, of Kinetics the annotated seconds; needs ffmpeg',
    )
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes (all cores)')
    return parser.parse_args()


def prepare(args: argparse.Namespace, out: Path) -> None:
    """Write the annotation files and print what became of the videos."""
    from r21d_plugin.datasets import preparation
    from r21d_plugin.datasets.annotations import read_annotations
    from r21d_plugin.datasets.workers import parallel_map

    preparation.check_writable(out)
    classes, videos = read_annotations(args.dataset, args.annotations)
    folder = args.videos
    matches = preparation.match_videos(videos, preparation.index_videos(folder))
    if args.reencode:
        preparation.find_ffmpeg()
        cut = args.dataset == 'kinetics400'
        encode = partial(preparation.reencode_video, folder, args.reencode, cut)
        matches = parallel_map(encode, matches, args.workers)
        folder = args.reencode
    if not args.no_check:
        matches = parallel_map(partial(preparation.check_video, folder), matches, args.workers)
    files = preparation.AnnotationFiles(args.dataset)
    for match in tqdm(matches, unit='video', desc=args.dataset):
        files.add(match)
    preparation.link_videos(out, folder, args.dataset)
    files.write(out, classes)

    problems = ('written', 'missing', 'broken', 'duplicate')
    rows = [[subset, *(count[p] for p in problems)] for subset, count in files.counts.items()]
    print(tabulate(rows, ['subset', *problems]))
    for problem in problems[1:]:
        path = out / f'{problem}_videos.txt'
        if path.exists():
            print(f'{problem} videos: see {path}')


def main() -> None:
    """Prepare."""
    args = parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line

    with errors_in_one_line():
        try:
            prepare(args, args.out or Path('data', args.dataset))
        except KeyboardInterrupt:
            sys.exit('error: stopped: nothing was written')


if __name__ == '__main__':
    main()

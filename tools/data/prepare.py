"""Write the annotation files that the configs read, for your own videos or a benchmark.

Every video is searched for and checked. Missing, broken and duplicate videos are left out and named
in OUT/missing_videos.txt and so on, with the reason if they are broken. Beside each list is a table
of the frames, rates, sizes and durations of its videos, which the datasets use. Run the same
command again to resume an interrupted run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.cli.sharding import add_shard_argument, cores_of_process, find_shard

FOLDER = """Split your own videos into training, validation and test sets, and list them.

SOURCE is a folder with one folder for each class, or with folders train, val and test that have
such class folders, or a CSV or TSV file. The file has a column path and optional columns label,
split, group, start and end. For several labels per video, use a column labels (separated by
semicolons) instead of label; --numbers names columns of numbers. Videos of one source stay in one
set: videos with the same name before _c01, -00012 or _seg3, or with the same group. If lists exist
already, their split is kept and new videos are added.
"""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    from r21d_plugin.datasets.annotations import READERS

    parser = argparse.ArgumentParser(description=__doc__)
    datasets = parser.add_subparsers(dest='dataset', required=True, metavar='DATASET')
    folder = datasets.add_parser('folder', help='your own videos', description=FOLDER)
    add_folder(folder)
    add_common(folder)
    for name in READERS:
        benchmark = datasets.add_parser(name, help='official lists', description=__doc__)
        benchmark.add_argument(
            '--videos', type=Path, required=True, help='folder of the videos, in any layout'
        )
        benchmark.add_argument(
            '--annotations',
            type=Path,
            nargs='+',
            required=True,
            metavar='FILE',
            help='official annotation files as distributed, or folders of them',
        )
        add_common(benchmark)
    return parser.parse_args()


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the user's own videos."""
    parser.add_argument('source', type=Path, help='folder, CSV or TSV file')
    parser.add_argument(
        '--videos', type=Path, help="folder of the paths in a table (default: the table's folder)"
    )
    parser.add_argument(
        '--numbers',
        type=lambda text: [name.strip() for name in text.split(',')],
        default=[],
        metavar='COLUMNS',
        help='columns of a table with numbers to predict, such as EF,EDV',
    )
    parser.add_argument(
        '--val', type=float, default=0.2, metavar='SHARE', help='fraction for validation (0.2)'
    )
    parser.add_argument(
        '--test', type=float, default=0.0, metavar='SHARE', help='fraction for the test (0)'
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of the split (0)')
    parser.add_argument(
        '--ungrouped', action='store_true', help='do not group videos by similar names'
    )
    parser.add_argument(
        '--clip-len', type=int, default=32, metavar='N', help='report videos with fewer frames (32)'
    )


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all sources share."""
    parser.add_argument('--out', type=Path, help='folder to write to (data/NAME)')
    check = parser.add_mutually_exclusive_group()
    check.add_argument('--no-check', action='store_true', help='do not open the videos')
    check.add_argument(
        '--verify',
        choices=('quick', 'full'),
        default='quick',
        help='decode the first frame and the last group of pictures (quick), or all (full)',
    )
    workers = 'processes (default: all cores)'
    parser.add_argument('--workers', type=int, default=cores_of_process(), help=workers)
    add_shard_argument(parser)
    store = parser.add_argument_group('training store')
    store.add_argument(
        '--store',
        type=Path,
        metavar='DIR',
        help='encode the videos for training into this folder, and list the encoded files: MP4 '
        'with the same frames at 171x128',
    )
    store.add_argument(
        '--short-side', type=int, metavar='N', help='shorter side of the encoded frames'
    )
    store.add_argument('--fps', type=float, help="constant frame rate; default: the video's")
    store.add_argument('--cut', action='store_true', help='encode only the annotated seconds')


def name_of(args: argparse.Namespace) -> str:
    """Return the name of the dataset: that of the benchmark, of the folder, or of the table."""
    if args.dataset != 'folder':
        return str(args.dataset)
    source: Path = args.source.resolve()
    return source.name if source.is_dir() else source.stem


def main() -> None:
    """Prepare."""
    with errors_in_one_line():
        args = parse_args()
        from r21d_plugin.datasets.preparation import prepare

        try:
            args.shard = find_shard(args.shard)
            prepare(args, args.out or Path('data', name_of(args)))
        except KeyboardInterrupt:
            sys.exit('error: stopped: run the same command again to resume')


if __name__ == '__main__':
    main()

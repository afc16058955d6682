"""Make the annotation files that the configs read, of one's own videos or of a benchmark.

Every video is looked for and checked. What is missing, broken or listed twice is left out and named
in OUT/missing_videos.txt and so on; what is broken, with its file and the reason. Beside each list
is a table of the frames, rates, sizes and durations of its videos, which the datasets use. A run
that was stopped is continued by the same command.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from tqdm import tqdm


if TYPE_CHECKING:
    from r21d_plugin.datasets.own_preparation import OwnVideos
    from r21d_plugin.datasets.preparation import Benchmark, Journal
    from r21d_plugin.datasets.video_checks import Checked, Checker, Task
    from r21d_plugin.datasets.video_facts import VideoFacts
    from r21d_plugin.datasets.video_store import StoreFormat

DATASETS = ('kinetics400', 'sports1m', 'ucf101', 'hmdb51')


FOLDER = """Split videos of your own into training, validation and test sets, and list them.

SOURCE is a folder of a folder for each class; or of folders train, val and test with such folders
in them; or a CSV or TSV file with a column path and any of label, split, group, start, end. Videos
of one source stay in one set: those named alike before _c01, -00012 or _seg3, or with the same
group. Run again, it keeps the split and adds what is new.
"""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    datasets = parser.add_subparsers(dest='dataset', required=True, metavar='DATASET')
    folder = datasets.add_parser('folder', help='your own videos', description=FOLDER)
    add_folder(folder)
    add_common(folder)
    for name in DATASETS:
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
    """Add the arguments of one's own videos."""
    parser.add_argument('source', type=Path, help='folder, CSV or TSV file')
    parser.add_argument(
        '--videos', type=Path, help='folder that the paths in a table begin in (that of the table)'
    )
    parser.add_argument(
        '--val', type=float, default=0.2, metavar='SHARE', help='part to validate with (0.2)'
    )
    parser.add_argument(
        '--test', type=float, default=0.0, metavar='SHARE', help='part to test with (0)'
    )
    parser.add_argument('--seed', type=int, default=0, help='another split (0)')
    parser.add_argument(
        '--ungrouped', action='store_true', help='names that are alike do not tell one source'
    )
    parser.add_argument(
        '--clip-len', type=int, default=32, metavar='N', help='name videos with fewer frames (32)'
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
    parser.add_argument('--workers', type=int, default=os.cpu_count(), help='processes (all cores)')
    store = parser.add_argument_group('training store')
    store.add_argument(
        '--store',
        type=Path,
        metavar='DIR',
        help='encode the videos as training reads them into this folder, and list these: frames of '
        '171x128, the same ones, in MP4',
    )
    store.add_argument(
        '--short-side', type=int, metavar='N', help='frames of this shorter side instead'
    )
    store.add_argument('--fps', type=float, help='a constant rate instead of that of the video')
    store.add_argument('--cut', action='store_true', help='only the annotated seconds of a video')


def prepare(args: argparse.Namespace, out: Path) -> None:
    """Check the videos, write their lists, and print what became of them."""
    from r21d_plugin.datasets import preparation
    from r21d_plugin.datasets.video_checks import Checked, Checker

    begin = time.monotonic()
    form = store_format(args)
    check_places(args, out)
    videos = own_videos(args, out) if args.dataset == 'folder' else benchmark(args, out)
    folder = args.store or videos.folder
    preparation.links_to_videos(out, folder, args.dataset)
    journal = preparation.Journal(out, args.dataset)
    known = journal.read(videos.files.earlier())
    tasks = videos.tasks()
    if args.no_check:
        checks = {task: Checked(task, known.get(task.path)) for task in tasks}
    else:
        checker = Checker(videos.folder, args.verify, args.store, form)
        checks = check_videos(checker, tasks, known, journal, args)
    videos.finish(checks)
    preparation.link_videos(out, folder, args.dataset)
    videos.files.write(videos.classes)
    journal.remove()
    print(videos.report())
    if args.store:
        print(store_summary(checks.values(), time.monotonic() - begin))
    print(f'written: {out}')


def store_format(args: argparse.Namespace) -> StoreFormat:
    """What to encode to; an InputError if the arguments contradict each other."""
    from r21d_plugin import InputError
    from r21d_plugin._errors import check_whole
    from r21d_plugin.datasets.video_store import StoreFormat

    if args.store and args.no_check:
        raise InputError('--no-check: --store reads the videos: leave one of them out')
    if not args.store and (args.short_side or args.fps or args.cut):
        raise InputError('--short-side, --fps and --cut: they need --store')
    if args.short_side is not None:
        check_whole('--short-side', args.short_side, least=16)
    if args.fps is not None and not 0 < args.fps <= 1000:
        raise InputError(f'--fps={args.fps:g}: use a number of frames a second, up to 1000')
    return StoreFormat(args.short_side, args.fps)


def check_places(args: argparse.Namespace, out: Path) -> None:
    """Raise an InputError if a place cannot be written, or would be searched for videos."""
    from r21d_plugin.datasets.preparation import check_apart, check_writable

    check_writable(out)
    if args.dataset == 'folder':
        check_apart(out, args.source)
    if args.store:
        check_apart(args.store, args.source if args.dataset == 'folder' else args.videos)
        check_writable(args.store)


def benchmark(args: argparse.Namespace, out: Path) -> Benchmark:
    """The videos of a benchmark."""
    from r21d_plugin.datasets.preparation import Benchmark

    source = (args.dataset, args.annotations, args.videos)
    return Benchmark(*source, out, bool(args.store), args.cut)


def own_videos(args: argparse.Namespace, out: Path) -> OwnVideos:
    """One's own videos; an InputError if an argument is wrong."""
    from r21d_plugin import InputError
    from r21d_plugin._errors import check_whole
    from r21d_plugin.datasets.own_preparation import OwnVideos
    from r21d_plugin.datasets.own_sources import read_source

    check_whole('--clip-len', args.clip_len)
    for name, share in (('--val', args.val), ('--test', args.test)):
        if not 0 <= share < 1:
            raise InputError(f'{name}={share:g}: use a part of the videos, from 0 to below 1')
    if args.val + args.test >= 1:
        raise InputError(f'--val={args.val:g} and --test={args.test:g}: nothing is left to train')
    return OwnVideos(
        read_source(args.source, args.videos),
        out,
        shares=dict(val=args.val, test=args.test),
        seed=args.seed,
        by_name=not args.ungrouped,
        store=bool(args.store),
        cut=args.cut,
        clip_len=args.clip_len,
    )


def check_videos(
    checker: Checker,
    tasks: dict[Task, None],
    known: dict[str, VideoFacts],
    journal: Journal,
    args: argparse.Namespace,
) -> dict[Task, Checked]:
    """Check videos, and note in the journal what is found out."""
    checks = {}
    results = checker.check_all(tasks, known, args.workers)
    for checked in tqdm(results, total=len(tasks), unit='video', desc=args.dataset):
        checks[checked.task] = checked
        if checked.new and checked.facts:
            journal.add(checked.facts)
    return checks


def store_summary(checks: Iterable[Checked], seconds: float) -> str:
    """Size of the store, and the rate of encoding."""
    stored = [checked for checked in checks if checked.facts]
    encoded = [checked.facts.frames for checked in stored if checked.encoded and checked.facts]
    before = sum(checked.source_bytes for checked in stored)
    after = sum(checked.facts.bytes for checked in stored if checked.facts)
    size = f'{after / 1e6:,.1f} MB of {before / 1e6:,.1f} MB ({after / max(before, 1):.0%})'
    rate = f'{len(encoded) / seconds:.1f} videos and {sum(encoded) / seconds:,.0f} frames a second'
    return f'store: {len(stored)} videos, {size}; encoded now: {len(encoded)}, {rate}'


def main() -> None:
    """Prepare."""
    args = parse_args()
    with errors_in_one_line():
        try:
            own = args.dataset == 'folder'
            name = args.source.resolve().stem if own else args.dataset
            prepare(args, args.out or Path('data', name))
        except KeyboardInterrupt:
            sys.exit('error: stopped: run the same command again to go on')


if __name__ == '__main__':
    main()

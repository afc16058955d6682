"""Make the annotation files that the configs read from the official ones of a benchmark.

Every annotated video is looked for and checked. What is missing, broken or listed twice is left out
and named in OUT/missing_videos.txt and so on; what is broken, with its file and the reason. Beside
each list is a table of the frames, rates, sizes and durations of its videos, which the datasets
use. A run that was stopped is continued by the same command.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from tabulate import tabulate
    from tqdm import tqdm


if TYPE_CHECKING:
    from r21d_plugin.datasets.preparation import MatchedVideo
    from r21d_plugin.datasets.video_checks import Checked, Checker, Task

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
    store.add_argument(
        '--cut', action='store_true', help='of whole videos, only the annotated seconds (Kinetics)'
    )
    return parser.parse_args()


def prepare(args: argparse.Namespace, out: Path) -> None:
    """Write the annotation files and print what became of the videos."""
    from r21d_plugin.datasets import preparation
    from r21d_plugin.datasets.annotations import read_annotations

    begin = time.monotonic()
    checker = make_checker(args)
    preparation.check_writable(out)
    if args.store:
        preparation.check_store(args.store, args.videos)
    folder = args.store or args.videos
    preparation.links_to_videos(out, folder, args.dataset)
    classes, videos = read_annotations(args.dataset, args.annotations)
    index = preparation.index_videos(args.videos)
    files = preparation.AnnotationFiles(args.dataset)
    journal = preparation.Journal(out, args.dataset)
    known = journal.read(out / name for name in files.old_tables(out))

    def tasks() -> Iterator[tuple[MatchedVideo, Task | None]]:
        for match in preparation.match_videos(videos, index):
            yield match, preparation.task_of(match, bool(args.store), args.cut)

    checks: dict[Task, Checked] = {}
    if not args.no_check:
        wanted = dict.fromkeys(task for _, task in tasks() if task)
        results = checker.check_all(wanted, known, args.workers)
        for checked in tqdm(results, total=len(wanted), unit='video', desc=args.dataset):
            checks[checked.task] = checked
            if checked.new and checked.facts:
                journal.add(checked.facts)
        classes, videos = read_annotations(args.dataset, args.annotations)
    for match, task in tasks():
        if task in checks:
            files.add(preparation.apply_check(match, checks[task]), checks[task].facts)
        else:
            files.add(match, known.get(match.path))
    preparation.link_videos(out, folder, args.dataset)
    files.write(out, classes)
    journal.remove()
    report(files.counts, out)
    if args.store:
        print(store_summary(checks.values(), time.monotonic() - begin))


def make_checker(args: argparse.Namespace) -> Checker:
    """How to check the videos; an InputError if the arguments contradict each other."""
    from r21d_plugin import InputError
    from r21d_plugin._errors import check_whole
    from r21d_plugin.datasets.video_checks import Checker
    from r21d_plugin.datasets.video_store import StoreFormat

    if args.store and args.no_check:
        raise InputError('--no-check: --store reads the videos: leave one of them out')
    if not args.store and (args.short_side or args.fps or args.cut):
        raise InputError('--short-side, --fps and --cut: they need --store')
    if args.short_side is not None:
        check_whole('--short-side', args.short_side, least=16)
    if args.fps is not None and not 0 < args.fps <= 1000:
        raise InputError(f'--fps={args.fps:g}: use a number of frames a second, up to 1000')
    form = StoreFormat(args.short_side, args.fps)
    return Checker(args.videos, args.verify, args.store, form)


def report(counts: dict[str, Counter[str]], out: Path) -> None:
    """Print how many videos are in the lists, and where the others are named."""
    problems = ('written', 'missing', 'broken', 'duplicate')
    rows = [[subset, *(count[p] for p in problems)] for subset, count in counts.items()]
    print(tabulate(rows, ['subset', *problems]))
    for problem in problems[1:]:
        path = out / f'{problem}_videos.txt'
        if path.exists():
            print(f'{problem} videos: see {path}')


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
            prepare(args, args.out or Path('data', args.dataset))
        except KeyboardInterrupt:
            sys.exit('error: stopped: run the same command again to go on')


if __name__ == '__main__':
    main()

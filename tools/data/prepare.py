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
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from tabulate import tabulate
    from tqdm import tqdm


if TYPE_CHECKING:
    from r21d_plugin.datasets.preparation import Journal, MatchedVideo
    from r21d_plugin.datasets.video_checks import Checked, Checker, Task
    from r21d_plugin.datasets.video_facts import VideoFacts

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


def prepare_folder(args: argparse.Namespace, out: Path) -> None:
    """Write the lists of one's own videos and print what became of them."""
    from r21d_plugin.datasets import own_preparation, preparation
    from r21d_plugin.datasets.own_report import report as report_own
    from r21d_plugin.datasets.own_sources import read_source

    begin = time.monotonic()
    shares = check_shares(args)
    source = read_source(args.source, args.videos)
    checker = make_checker(args, source.folder)
    preparation.check_writable(out)
    if args.source.is_dir():  # a table names its videos: others may be beside them
        own_preparation.check_place(out, source.folder)
        if args.store:
            preparation.check_store(args.store, source.folder)
    elif args.store:
        preparation.check_writable(args.store)
    folder = args.store or source.folder
    preparation.links_to_videos(out, folder, 'folder')
    prepared = own_preparation.OwnPreparation(source, out, shares, args.seed, not args.ungrouped)
    prepared.plan(bool(args.store), args.cut)

    journal = preparation.Journal(out, 'folder')
    known = journal.read(out / name for name in own_preparation.OwnFiles('folder').old_tables(out))
    checks = {}
    if not args.no_check:
        wanted = dict.fromkeys(task for _, task in prepared.tasks)
        checks = check_videos(checker, wanted, known, journal, args)
    prepared.split(checks)
    files = prepared.files()
    preparation.link_videos(out, folder, 'folder')
    files.write(out, prepared.classes)
    journal.remove()
    print(report_own(prepared, args.clip_len))
    if args.store:
        print(store_summary(checks.values(), time.monotonic() - begin))
    print(f'written: {out}')


def check_shares(args: argparse.Namespace) -> dict[str, float]:
    """The parts to validate and test with; an InputError if they leave nothing to train."""
    from r21d_plugin import InputError
    from r21d_plugin._errors import check_whole

    check_whole('--clip-len', args.clip_len)
    for name, share in (('--val', args.val), ('--test', args.test)):
        if not 0 <= share < 1:
            raise InputError(f'{name}={share:g}: use a part of the videos, from 0 to below 1')
    if args.val + args.test >= 1:
        raise InputError(f'--val={args.val:g} and --test={args.test:g}: nothing is left to train')
    return dict(val=args.val, test=args.test)


def check_videos(
    checker: Checker,
    wanted: dict[Task, None],
    known: dict[str, VideoFacts],
    journal: Journal,
    args: argparse.Namespace,
) -> dict[Task, Checked]:
    """Check videos, and note in the journal what is found out."""
    checks = {}
    results = checker.check_all(wanted, known, args.workers)
    for checked in tqdm(results, total=len(wanted), unit='video', desc=args.dataset):
        checks[checked.task] = checked
        if checked.new and checked.facts:
            journal.add(checked.facts)
    return checks


def prepare(args: argparse.Namespace, out: Path) -> None:
    """Write the annotation files and print what became of the videos."""
    from r21d_plugin.datasets import preparation
    from r21d_plugin.datasets.annotations import read_annotations

    begin = time.monotonic()
    checker = make_checker(args, args.videos)
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
        checks = check_videos(checker, wanted, known, journal, args)
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


def make_checker(args: argparse.Namespace, folder: Path) -> Checker:
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
    return Checker(folder, args.verify, args.store, form)


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
            if args.dataset == 'folder':
                prepare_folder(args, args.out or Path('data', args.source.resolve().stem))
            else:
                prepare(args, args.out or Path('data', args.dataset))
        except KeyboardInterrupt:
            sys.exit('error: stopped: run the same command again to go on')


if __name__ == '__main__':
    main()

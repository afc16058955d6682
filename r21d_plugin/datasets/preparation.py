"""Implementation of ``r21d prepare``: check videos and write annotation files."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from tqdm import tqdm

from .._atomic import name_file_on_error
from .._errors import InputError, check_whole
from .annotation_files import Journal
from .benchmarks import Benchmark
from .own_preparation import OwnVideos
from .video_checks import Checked, Checker, Task
from .video_facts import VideoFacts
from .video_store import StoreFormat
from .workers import parallel_map


def prepare(args: Namespace, out: Path) -> None:
    """Check the videos, write their lists to a folder, and print a report.

    ``args`` are those of ``tools/data/prepare.py``, and ``shard``, the part to process.
    """
    begin = time.monotonic()
    form, shard = store_format(args), args.shard
    check_places(args, out)
    videos = (OwnVideos if args.dataset == 'folder' else Benchmark)(args, out)
    folder = args.store or videos.folder
    check_links(links_to_videos(out, folder, args.dataset), videos.folder)
    journal = Journal(out, args.dataset, shard.name)
    known = journal.read(videos.files.earlier())
    tasks = shard.take([*videos.tasks()])
    if args.no_check:
        checks = {task: Checked(task, unchanged(known, task, videos.folder)) for task in tasks}
    else:
        checker = Checker(videos.folder, args.verify, args.store, form)
        checks = check_videos(checker, tasks, known, journal, args)
    if shard.parts > 1:
        print(store_summary(checks.values(), time.monotonic() - begin))
        print(f'when all parts are done, run without --shard to write the lists in {out}')
        return
    videos.finish(checks)
    link_videos(out, folder, args.dataset)
    videos.files.write(videos.classes)
    journal.remove()
    print(videos.report())
    if args.store:
        print(store_summary(checks.values(), time.monotonic() - begin))
    print(f'written: {out}')


def store_format(args: Namespace) -> StoreFormat:
    """Return the format to encode to; raise an InputError if arguments are incompatible."""
    if args.store and args.no_check:
        raise InputError('--no-check: --store reads the videos: leave one of them out')
    if not args.store and (args.short_side or args.fps or args.cut):
        raise InputError('--short-side, --fps and --cut: add --store')
    if args.short_side is not None:
        check_whole('--short-side', args.short_side, least=16)
    if args.fps is not None and not 0 < args.fps <= 1000:
        raise InputError(f'--fps={args.fps:g}: use a number of frames a second, up to 1000')
    return StoreFormat(args.short_side, args.fps)


def check_places(args: Namespace, out: Path) -> None:
    """Raise an InputError if an output is not writable, or would be searched for videos."""
    check_writable(out)
    if args.dataset == 'folder':
        check_apart(out, args.source)
    if args.store:
        check_apart(args.store, args.source if args.dataset == 'folder' else args.videos)
        check_writable(args.store)


def check_videos(
    checker: Checker,
    tasks: Sequence[Task],
    known: dict[str, VideoFacts],
    journal: Journal,
    args: Namespace,
) -> dict[Task, Checked]:
    """Check videos, and record the results in the journal."""
    checks = {}
    items = ((task, known.get(task.path)) for task in tasks)
    results = parallel_map(checker.check, items, args.workers)
    for checked in tqdm(results, total=len(tasks), unit='video', desc=args.dataset):
        checks[checked.task] = checked
        if checked.facts and checked.facts != known.get(checked.task.path):
            journal.add(checked.facts)
    return checks


def unchanged(known: dict[str, VideoFacts], task: Task, folder: Path) -> VideoFacts | None:
    """Return the known facts about a video; None if there are none, or the file has changed."""
    facts = known.get(task.path)
    with suppress(OSError):
        if facts is not None and facts.still_holds(folder / task.source, 'quick'):
            return facts
    return None


def store_summary(checks: Iterable[Checked], seconds: float) -> str:
    """Describe the size of the store and the rate of encoding."""
    stored = [checked for checked in checks if checked.facts]
    encoded = [checked.facts.frames for checked in stored if checked.encoded and checked.facts]
    before = sum(checked.source_bytes for checked in stored)
    after = sum(checked.facts.bytes for checked in stored if checked.facts)
    size = f'{after / 1e6:,.1f} MB of {before / 1e6:,.1f} MB ({after / max(before, 1):.0%})'
    rate = f'{len(encoded) / seconds:.1f} videos and {sum(encoded) / seconds:,.0f} frames a second'
    return f'store: {len(stored)} videos, {size}; encoded now: {len(encoded)}, {rate}'


def check_writable(folder: Path) -> None:
    """Raise an InputError if a folder, existing or not, is not writable; create nothing."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with name_file_on_error(folder), TemporaryFile(dir=there):
        pass


def check_apart(place: Path, folder: Path) -> None:
    """Raise an InputError if an output is inside the folder of the videos."""
    if folder.resolve() in (place.resolve(), *place.resolve().parents):
        raise InputError(f'{place}: is in the folder of the videos: choose another place')


def links_to_videos(out: Path, folder: Path, dataset: str) -> list[Path]:
    """Return the paths where configs expect the videos; raise an InputError if one is taken."""
    names = ('videos_train', 'videos_val') if dataset == 'kinetics400' else ('videos',)
    links = [out / name for name in names if (out / name).resolve() != folder.resolve()]
    for link in links:
        if link.exists() and not link.is_symlink():
            raise InputError(f'{link}: exists and is not {folder}: move it away')
    return links


def check_links(links: Sequence[Path], source: Path) -> None:
    """Raise an InputError if the lists beside a link are of other videos than the source's."""
    for link in links:
        other = link.resolve()
        if other.exists() and other != source.resolve():
            remedy = f'choose another --out, or remove {link} to replace them'
            raise InputError(f'{link.parent}: holds the lists of {other}: {remedy}')


def link_videos(out: Path, folder: Path, dataset: str) -> None:
    """Link the folder of videos to where the configs of a dataset expect it."""
    with name_file_on_error(out):
        out.mkdir(parents=True, exist_ok=True)
    for link in links_to_videos(out, folder, dataset):
        with name_file_on_error(link):
            link.unlink(missing_ok=True)
            link.symlink_to(folder.resolve())

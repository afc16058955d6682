"""Predict the classes of videos, as in a test of a dataset.

Prints the best classes of each video, or writes them as JSON. Videos that do not decode are named,
and the exit status is then 1. With --live, the classes of a stream are printed as it is received.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from r21d_plugin import InputError
from r21d_plugin._atomic import check_writable, name_file_on_error, write_json
from r21d_plugin._errors import escape_bytes
from r21d_plugin.cli.arguments import add_network_arguments
from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.cli.sharding import Shard, add_shard_argument, device_of_process, find_shard

with errors_in_one_line():
    from tabulate import tabulate
    from tqdm import tqdm

if TYPE_CHECKING:
    import numpy as np
    from mmaction.models.recognizers.base import BaseRecognizer

    from r21d_plugin.datasets.pipelines import Pipeline

REPORT_INTERVAL = 10.0  # seconds between the lines that report the latency


def find_all(
    sources: Sequence[str], folder: Path, shard: Shard
) -> tuple[dict[str, Path], dict[Path, str]]:
    """Find a shard of the videos of all sources; copy remote videos to a folder.

    Returns:
        tuple[dict[str, Path], dict[Path, str]]: Videos by name, and display names of the copies.
    """
    from r21d_plugin.datasets.video_files import by_name, find_videos
    from r21d_plugin.inference.sources import fetch_videos, is_remote

    local = [source for source in sources if not is_remote(source)]
    found = by_name(find_videos(*local), local) if local else {}
    taken = shard.take([*found, *filter(is_remote, sources)])
    videos = {name: found[name] for name in taken if name in found}
    copies = fetch_videos((source for source in taken if source not in found), folder)
    for copy in copies:
        name = copy.name
        while name in videos:
            name = f'_{name}'
        videos[name] = copy
    return videos, copies


def gives_numbers(model: BaseRecognizer) -> bool:
    """Whether a network outputs regressed numbers instead of class scores."""
    from r21d_plugin.models.tasks import NUMBERS, task_of

    return task_of(model.cls_head) is NUMBERS


def score_format(model: BaseRecognizer) -> str:
    """Return the format in which a network's scores are printed."""
    return '{:.4g}' if gives_numbers(model) else '{:.1%}'


def table(entry: dict[str, Any], form: str) -> str:
    """Format the result of :func:`to_dict`: the video, and a line for each class."""
    rows = [
        ('', rank, found['label'], form.format(found['score']))
        for rank, found in enumerate(entry['classes'], start=1)
    ]
    align = ('left', 'right', 'left', 'right')
    body = tabulate(rows, tablefmt='plain', colalign=align, disable_numparse=True)
    return f'{entry["video"]}\n{body}\n'


def predict_files(
    args: argparse.Namespace,
    model: BaseRecognizer,
    pipeline: Pipeline,
    labels: Sequence[str],
    videos: Mapping[Path, str],
    over_time: Callable[[Path, str], list] | None,
) -> list[dict[str, Any]]:
    """Predict videos, given by display name, and print the results unless JSON is requested."""
    from r21d_plugin.inference.outputs import to_dict
    from r21d_plugin.inference.predict import predict

    form, entries = score_format(model), []
    predictions = predict(model, pipeline, list(videos), args.workers)
    for video, prediction in tqdm(predictions, total=len(videos), unit='video'):
        name = videos[video]
        entry = to_dict(name, prediction, labels, args.top)
        if over_time and 'error' not in entry:
            try:
                entry['times'] = over_time(video, name)
            except InputError as error:
                entry = to_dict(name, error, labels, args.top)
        if 'error' in entry:
            entry['error'] = entry['error'].replace(escape_bytes(video), name)
            tqdm.write(entry['error'], file=sys.stderr)
        elif not args.json:
            tqdm.write(table(entry, form))
        entries.append(entry)
    return entries


def follow(
    args: argparse.Namespace, model: BaseRecognizer, pipeline: Pipeline, labels: Sequence[str]
) -> None:
    """Print the smoothed classes of a stream and the latency until the stream ends."""
    from r21d_plugin.inference.live import Latencies, LiveClips, Smoothing, live_window, score_clip
    from r21d_plugin.inference.outputs import best_classes

    window = live_window(pipeline)
    smoothing, latencies, form = Smoothing(args.smooth), Latencies(), score_format(model)
    draw = partial(draw_stream, args, labels, lambda: smoothing.scores)
    drawing = draw if args.draw or args.show else None
    reported = time.monotonic()
    with LiveClips(args.videos[0], window, args.stride, args.retries, tell, drawing) as clips:
        try:
            for clip in clips:
                scores = smoothing.add(score_clip(model, window, clip), clip.end)
                print_moment(clip.end, best_classes(scores, labels, args.top), form)
                latencies.add(clip.arrived)
                if time.monotonic() > reported + REPORT_INTERVAL:
                    reported = time.monotonic()
                    tell(f'{latencies}; {clips.dropped} clips dropped')
        except KeyboardInterrupt:
            pass
        finally:
            if latencies.count:
                tell(f'{latencies}; {clips.dropped} clips dropped')


def print_moment(seconds: float, best: Sequence[dict[str, Any]], form: str) -> None:
    """Print the current classes; on a terminal, overwrite the previous ones."""
    texts = [f'{found["label"]} {form.format(found["score"])}' for found in best]
    line, end = '  '.join([f'{seconds:9.2f} s', *texts]), '\n'
    if sys.stdout.isatty():
        line, end = f'\r\033[K{line[: shutil.get_terminal_size().columns - 1]}', ''
    with name_file_on_error('standard output'):
        print(line, end=end, flush=True)


def tell(line: str) -> None:
    """Print a line about a stream to standard error, below the current classes."""
    print(f'\n{line}' if sys.stdout.isatty() else line, file=sys.stderr, flush=True)


def draw_stream(
    args: argparse.Namespace,
    labels: Sequence[str],
    scores: Callable[[], np.ndarray | None],
    frames: Iterator[np.ndarray],
    fps: float,
) -> None:
    """Draw the current scores below the frames of a stream; show the result or write it."""
    from r21d_plugin.inference.draw import draw_live, show, write_video

    drawn = draw_live(frames, scores, labels, args.top)
    drawn = show(drawn, 'r21d') if args.show else drawn
    if args.draw:
        write_video(args.draw, drawn, fps, parents=True)
    deque(drawn, maxlen=0)


def check_options(args: argparse.Namespace) -> None:
    """Raise an InputError if options are incompatible, or an output is not writable."""
    from r21d_plugin.inference.draw import check_display
    from r21d_plugin.inference.sources import is_camera

    args.live = args.live or any(map(is_camera, args.videos))
    if args.top < 1:
        raise InputError('--top has to be at least 1')
    given = [name for name in ('json', 'segments', 'over_time') if getattr(args, name)]
    if args.live and given:
        raise InputError(
            f'--{given[0].replace("_", "-")}: not with --live, which prints the classes'
        )
    if args.live and len(args.videos) > 1:
        raise InputError(f'--live: one stream at a time, not {len(args.videos)}')
    if args.live and args.draw:
        if args.draw.suffix != '.mp4':
            raise InputError(f'{args.draw}: name a file with .mp4 for --live')
        check_writable(args.draw)
    live = dict(show=args.show or None, retries=args.retries, smooth=args.smooth)
    wrong = [name for name, value in live.items() if value is not None and not args.live]
    if wrong:
        raise InputError(f'--{wrong[0]}: only with --live')
    if args.threshold is not None and not args.segments:
        raise InputError('--threshold: only with --segments')
    args.smooth = 1.0 if args.smooth is None else args.smooth
    args.threshold = 0.5 if args.threshold is None else args.threshold
    if args.show:
        check_display()
    if args.over_time and not args.json:
        raise InputError('--over-time: add --json FILE (-: print it)')
    if args.json and args.json != '-':
        check_writable(Path(args.json))


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'videos',
        nargs='+',
        metavar='VIDEO',
        help="videos, folders of them, searched with their subfolders, patterns ('a*/*.mp4'), "
        'URLs (http, https; rtsp with --live), - for standard input, or a camera (0)',
    )
    parser.add_argument('--top', type=int, default=5, help='classes to show (5)')
    parser.add_argument(
        '--labels',
        type=Path,
        metavar='FILE',
        help='class names, one per line; default: those in the checkpoint, else in the label map '
        "beside the test's annotation file, else numbers",
    )
    parser.add_argument(
        '--json', metavar='FILE', help='write JSON to this file, instead of a table; -: print it'
    )
    parser.add_argument(
        '--over-time', action='store_true', help='also write the scores of sliding clips (--json)'
    )
    parser.add_argument(
        '--draw',
        type=Path,
        metavar='DIR',
        help='write a copy of each video to this folder, with the prediction over time below it; '
        'FILE.mp4 for a single video',
    )
    parser.add_argument(
        '--segments',
        type=Path,
        metavar='FILE',
        help='write segments with a class above --threshold: FILE.csv, FILE.srt for one video, '
        'or a folder of subtitles',
    )
    parser.add_argument('--threshold', type=float, help='score above which a segment begins (0.5)')
    parser.add_argument(
        '--stride',
        type=int,
        default=8,
        metavar='FRAMES',
        help='frames between the starts of sliding clips (8)',
    )
    live = parser.add_argument_group('streams')
    live.add_argument('--live', action='store_true', help='score a single source in real time')
    live.add_argument(
        '--smooth',
        type=float,
        metavar='SECONDS',
        help='time constant in seconds for smoothing the scores (1; 0: none)',
    )
    live.add_argument('--show', action='store_true', help='show the stream in a window')
    live.add_argument(
        '--retries',
        type=int,
        metavar='N',
        help='how often in a row to reopen a broken stream (0 for files, else unlimited)',
    )
    add_shard_argument(parser)
    add_network_arguments(parser)
    return parser.parse_args()


def run(args: argparse.Namespace, folder: Path) -> None:
    """Run the predictions; ``folder`` is for copies of remote videos."""
    from r21d_plugin.cli.launch import load_config
    from r21d_plugin.inference.class_names import class_names
    from r21d_plugin.inference.outputs import OverTime
    from r21d_plugin.inference.recognizer import load_recognizer, use_device
    from r21d_plugin.inference.sliding_window import SlidingWindow
    from r21d_plugin.inference.video_inputs import pipeline_of
    from r21d_plugin.models.recognizer import check_runtime

    check_options(args)
    cfg = load_config(args.config, args.cfg_options)
    pipeline = pipeline_of(cfg)
    outputs = None
    if not args.live:
        shard = find_shard(args.shard)
        if args.segments and args.segments.suffix:
            args.segments = shard.name(args.segments)
        videos, copies = find_all(args.videos, folder, shard)
        if args.draw or args.segments or args.over_time:
            outputs = OverTime(videos, args.draw, args.segments, args.threshold, args.top)
    model = load_recognizer(cfg, args.checkpoint, use_device(device_of_process(args.device)))
    check_runtime(model, ('runtime', 'dtype'))
    if (args.draw or args.show or args.segments) and gives_numbers(model):
        names = '--segments: writes' if args.segments else '--draw and --show: draw'
        raise InputError(f'{names} classes, and the head gives numbers')
    stored = model.dataset_meta.get('classes', ())
    labels = class_names(cfg, args.checkpoint, stored, args.labels)
    if args.live:
        follow(args, model, pipeline, labels)
        return
    shown = {video: copies.get(video, escape_bytes(video)) for video in videos.values()}
    over_time = None
    if outputs:
        over_time = partial(outputs.write, model, SlidingWindow(pipeline, args.stride), labels)
    entries = predict_files(args, model, pipeline, labels, shown, over_time)
    if outputs:
        outputs.finish(labels)
    if args.json == '-':
        print(json.dumps(entries, indent=2, ensure_ascii=False))
    elif args.json:
        write_json(shard.name(Path(args.json)), entries)
    failed = sum('error' in entry for entry in entries)
    if failed:
        raise InputError(f'{failed} of {len(entries)} videos failed, for the reasons above')


def main() -> None:
    """Predict."""
    args = parse_args()
    with errors_in_one_line(), TemporaryDirectory(prefix='r21d-') as folder:
        try:
            run(args, Path(folder))
        except KeyboardInterrupt:
            sys.exit('error: stopped')


if __name__ == '__main__':
    main()

"""Predict the classes of videos, as a test of a dataset would.

Prints the best classes of each video, or writes them as JSON. Videos that do not decode are named,
and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r21d_plugin import InputError
from r21d_plugin._atomic import write_json
from r21d_plugin._errors import escape_bytes
from r21d_plugin.cli.arguments import add_network_arguments
from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.cli.sharding import add_shard_argument, device_of_process, find_shard

with errors_in_one_line():
    from tabulate import tabulate
    from tqdm import tqdm

if TYPE_CHECKING:
    from mmaction.structures import ActionDataSample


def copy_paths(folder: Path, videos: Mapping[str, Path]) -> dict[Path, Path]:
    """Paths in a folder of the copies, .mp4, of videos that are given by name.

    Raises:
        InputError: If a copy would be written over a video.
    """
    copies = {
        video: folder / escape_bytes(name if video.suffix == '.mp4' else f'{name}.mp4')
        for name, video in videos.items()
    }
    originals = {video.resolve() for video in copies}
    for copy in copies.values():
        if copy.resolve() in originals:
            raise InputError(f'{copy}: is a video itself: give another folder to draw into')
    return copies


def to_dict(
    video: Path, prediction: ActionDataSample | InputError, labels: Sequence[str], top: int
) -> dict[str, Any]:
    """Convert a prediction to types that JSON has.

    Returns:
        dict: ``video`` and ``error``, or ``video``, ``frames``, ``fps`` and, best first, at most
        ``top`` ``classes`` of ``number``, ``label`` and ``score``.
    """
    if isinstance(prediction, InputError):
        return dict(video=escape_bytes(video), error=str(prediction))
    best = prediction.pred_score.topk(min(top, len(labels)))
    return dict(
        video=escape_bytes(video),
        frames=prediction.total_frames,
        fps=prediction.get('avg_fps', 0.0),
        classes=[
            dict(number=number, label=labels[number], score=score)
            for score, number in zip(*(values.tolist() for values in best))
        ],
    )


def table(entry: dict[str, Any]) -> str:
    """Format what :func:`to_dict` gives: the video, and a line for each class."""
    rows = [
        ('', rank, found['label'], f'{found["score"]:.1%}')
        for rank, found in enumerate(entry['classes'], start=1)
    ]
    align = ('left', 'right', 'left', 'right')
    body = tabulate(rows, tablefmt='plain', colalign=align, disable_numparse=True)
    return f'{entry["video"]}\n{body}\n'


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'videos',
        nargs='+',
        metavar='VIDEO',
        help="videos, folders of them, searched with their subfolders, or patterns ('a*/*.mp4')",
    )
    parser.add_argument('--top', type=int, default=5, help='classes to show (5)')
    parser.add_argument(
        '--labels',
        type=Path,
        metavar='FILE',
        help='names of the classes, one a line; default: those in the checkpoint, else in the '
        "label map beside the test's annotation file, else numbers",
    )
    parser.add_argument(
        '--json', metavar='FILE', help='write JSON into this file, instead of a table; -: print it'
    )
    parser.add_argument(
        '--draw',
        type=Path,
        metavar='DIR',
        help='write a copy of each video into this folder, with the prediction over time drawn on',
    )
    parser.add_argument(
        '--stride',
        type=int,
        default=8,
        metavar='FRAMES',
        help='for --draw, frames from the start of a clip to that of the next (8)',
    )
    add_shard_argument(parser)
    add_network_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Predict."""
    args = parse_args()
    with errors_in_one_line():
        from r21d_plugin.cli.launch import load_config
        from r21d_plugin.datasets.video_files import by_name, find_videos
        from r21d_plugin.inference.class_names import class_names
        from r21d_plugin.inference.draw import draw_video
        from r21d_plugin.inference.predict import predict, predict_over_time
        from r21d_plugin.inference.recognizer import load_recognizer, use_device
        from r21d_plugin.inference.sliding_window import SlidingWindow
        from r21d_plugin.inference.video_inputs import pipeline_of

        if args.top < 1:
            raise InputError('--top has to be at least 1')
        if args.json and not os.access(Path(args.json).parent, os.W_OK):
            raise InputError(f'{args.json}: cannot write there')
        cfg = load_config(args.config, args.cfg_options)
        pipeline = pipeline_of(cfg)
        shard = find_shard(args.shard)
        videos = dict(shard.take([*by_name(find_videos(*args.videos), args.videos).items()]))
        copies = copy_paths(args.draw, videos) if args.draw else {}
        model = load_recognizer(cfg, args.checkpoint, use_device(device_of_process(args.device)))
        stored = model.dataset_meta.get('classes', ())
        labels = class_names(cfg, args.checkpoint, stored, args.labels)
        window = SlidingWindow(pipeline, args.stride) if args.draw else None
        predictions = predict(model, pipeline, list(videos.values()), args.workers)
        entries = []
        try:
            for video, prediction in tqdm(predictions, total=len(videos), unit='video'):
                if window and not isinstance(prediction, InputError):
                    try:
                        scores = predict_over_time(model, window, video)
                        draw_video(video, copies[video], scores, labels, args.top)
                    except InputError as error:
                        prediction = error
                entries.append(entry := to_dict(video, prediction, labels, args.top))
                if 'error' in entry:
                    tqdm.write(entry['error'], file=sys.stderr)
                elif not args.json:
                    tqdm.write(table(entry))
        except KeyboardInterrupt:
            sys.exit('error: stopped')
        if args.json == '-':
            print(json.dumps(entries, indent=2, ensure_ascii=False))
        elif args.json:
            write_json(shard.name(Path(args.json)), entries)
    failed = sum('error' in entry for entry in entries)
    if failed:
        sys.exit(f'error: {failed} of {len(entries)} videos failed, for the reasons above')


if __name__ == '__main__':
    main()

"""Extract the features of videos: the last feature maps, averaged, of sliding clips.

A clip has 512 numbers, or 2048 from 50 layers on (two streams: those of RGB, then those of flow),
and a clip begins at frames 0, STRIDE, 2 * STRIDE and so on; a video shorter than a clip gives one,
looped. Videos that do not decode are listed in broken_videos.txt. A run that was stopped is
continued by the same command.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from r21d_plugin._errors import escape_bytes
from r21d_plugin.cli.arguments import add_network_arguments
from r21d_plugin.cli.errors import errors_in_one_line

with errors_in_one_line():
    from mmengine.config import Config
    from tqdm import tqdm

if TYPE_CHECKING:
    from mmaction.models.recognizers.base import BaseRecognizer

    from r21d_plugin.inference.sliding_window import SlidingClips


def feature_settings(
    cfg: Config, checkpoint: str, model: BaseRecognizer, sample: SlidingClips
) -> dict[str, str | int]:
    """Settings that features depend on; the fingerprint is of network, weights and pipeline."""
    from r21d_plugin.datasets.pipelines import SAMPLERS, update_transform
    from r21d_plugin.inference.video_inputs import pipeline_of
    from r21d_plugin.models.runtimes import runtime_and_dtype

    # Features do not depend on how many clips a test takes.
    pipeline = update_transform(pipeline_of(cfg), *SAMPLERS, num_clips=1)
    runtime, dtype = runtime_and_dtype(model.test_cfg)
    parts = [cfg.model.backbone, cfg.model.data_preprocessor, pipeline, dtype]
    if runtime != 'torch':
        parts.append(runtime)
    fingerprint = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    tensors = model.backbone.state_dict()
    if dtype == 'int8':
        tensors['int8'] = model.int8['weights']
    for key, value in tensors.items():
        fingerprint.update(key.encode() + value.cpu().numpy().tobytes())
    return dict(
        config=cfg.filename,
        checkpoint=checkpoint,
        clip_len=sample.clip_len - sample.flow_gap,
        stride=sample.stride or "a clip's time",
        fingerprint=fingerprint.hexdigest(),
    )


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        'videos',
        nargs='*',
        default=[],
        metavar='VIDEO',
        help="videos, folders of them, searched with their subfolders, or patterns ('a*/*.mp4')",
    )
    source.add_argument('--list', type=Path, metavar='FILE', help='file that names a video a line')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder for a .npy file per video, clips x numbers'
    )
    parser.add_argument(
        '--stride',
        type=int,
        metavar='FRAMES',
        help='frames from the start of a clip to that of the next (those of a clip)',
    )
    parser.add_argument('--batch-size', type=int, default=8, help='clips at a time (8)')
    add_network_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Extract."""
    args = parse_args()
    from r21d_plugin.cli.launch import load_config
    from r21d_plugin.datasets.video_files import by_name, find_videos, read_list, write_report
    from r21d_plugin.inference.features import FeatureFolder, extract_features
    from r21d_plugin.inference.recognizer import load_recognizer, use_device
    from r21d_plugin.inference.sliding_window import SlidingWindow
    from r21d_plugin.inference.video_inputs import pipeline_of

    with errors_in_one_line():
        cfg = load_config(args.config, args.cfg_options)
        sources = read_list(args.list) if args.list else args.videos
        videos = by_name(sources if args.list else find_videos(*sources), sources)
        model = load_recognizer(cfg, args.checkpoint, use_device(args.device))
        window = SlidingWindow(pipeline_of(cfg), args.stride, args.batch_size)
        settings = feature_settings(cfg, args.checkpoint, model, window.sample)
        folder = FeatureFolder(args.out, settings)
        form = '{l_bar}{bar}| {n:.1f}/{total} videos [{elapsed}<{remaining}]'
        with tqdm(total=len(videos), bar_format=form, desc=escape_bytes(args.out)) as bar:

            def progress(share: float) -> None:
                bar.update(min(share, len(videos) - bar.n))  # shares add up to 1 but for rounding

            extracted = extract_features(model, window, videos, folder, args.workers, progress)
            try:
                done = list(extracted)
            except KeyboardInterrupt:
                sys.exit('error: stopped: the same command goes on where this one was')
        print(write_report(done, args.out / 'broken_videos.txt'))


if __name__ == '__main__':
    main()

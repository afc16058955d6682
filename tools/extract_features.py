"""Extract the features of videos: averaged feature maps of sliding clips.

By default a clip has 512 features, or 2048 with 50 or more layers (two streams: RGB, then flow),
and begins where the previous clip ends. A video shorter than a clip is looped and gives one clip.
Videos that do not decode are listed in broken_videos.txt. Run the same command again to resume an
interrupted run. docs/features.md describes the shapes and the presets.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r21d_plugin._errors import check_whole, escape_bytes
from r21d_plugin.cli.arguments import add_network_arguments
from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.cli.sharding import Shard, add_shard_argument, device_of_process, find_shard

with errors_in_one_line():
    from mmengine.config import Config
    from tqdm import tqdm

if TYPE_CHECKING:
    from mmaction.models.recognizers.base import BaseRecognizer

    from r21d_plugin.inference.presets import Preset
    from r21d_plugin.inference.sliding_window import SlidingWindow


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
    source.add_argument('--list', type=Path, metavar='FILE', help='file with one video per line')
    parser.add_argument(
        '--out', type=Path, required=True, help='folder for one .npy file per video, or FILE.h5'
    )
    parser.add_argument(
        '--stride',
        help='step between the starts of clips, in frames (16) or seconds (0.5s); '
        'default: the length of a clip',
    )
    parser.add_argument(
        '--keep',
        nargs='+',
        choices=('crops', 'time'),
        help='axes that are not averaged: crops of a clip, time steps of the feature map',
    )
    parser.add_argument(
        '--layer',
        choices=('conv2_x', 'conv3_x', 'conv4_x', 'conv5_x'),
        help='group of convolutions (conv5_x)',
    )
    parser.add_argument(
        '--segments',
        type=int,
        metavar='N',
        help='average the clips of each of N equal parts of a video (0: keep the clips)',
    )
    parser.add_argument(
        '--preset',
        choices=('tsp-actionformer', 'ucf-crime-32x10', 'video_features'),
        help='compute features like another tool; --stride, --keep and --segments take precedence',
    )
    parser.add_argument('--batch-size', type=int, default=8, help='clips per batch (8)')
    add_shard_argument(parser)
    add_network_arguments(parser)
    return parser.parse_args()


def find_named_videos(args: argparse.Namespace, preset: Preset, shard: Shard) -> dict[str, Path]:
    """Return the videos of this process by the names of their features."""
    from r21d_plugin.datasets.video_files import by_name, find_videos, read_list

    sources = read_list(args.list) if args.list else args.videos
    videos = preset.name(by_name(sources if args.list else find_videos(*sources), sources))
    return dict(shard.take([*videos.items()]))


def feature_settings(
    cfg: Config,
    checkpoint: str,
    model: BaseRecognizer,
    window: SlidingWindow,
    options: dict[str, Any],
) -> dict[str, str | int]:
    """Return the settings of features, with a fingerprint of network, weights and pipeline.

    ``options`` are further options of the command; unset options are ignored.
    """
    from r21d_plugin.datasets.pipelines import SAMPLERS, update_transform
    from r21d_plugin.models.runtimes import runtime_and_dtype

    # Features do not depend on the number of test clips.
    pipeline = update_transform(window.pipeline, *SAMPLERS, num_clips=1)
    runtime, dtype = runtime_and_dtype(model.test_cfg)
    parts = [cfg.model.backbone, cfg.model.data_preprocessor, pipeline, dtype]
    options = {name: value for name, value in options.items() if value}
    parts += [runtime] * (runtime != 'torch') + [options] * bool(options)
    fingerprint = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    tensors = model.backbone.state_dict()
    if dtype == 'int8':
        int8: Any = model.int8
        tensors['int8'] = int8['weights']
    for key, value in tensors.items():
        fingerprint.update(key.encode() + value.cpu().numpy().tobytes())
    sample = window.sample
    return dict(
        config=cfg.filename,
        checkpoint=checkpoint,
        clip_len=sample.clip_len - sample.flow_gap,
        stride=sample.stride or "a clip's time",
        fingerprint=fingerprint.hexdigest(),
    )


def extract(args: argparse.Namespace) -> None:
    """Extract the features of the videos of this process."""
    from r21d_plugin.cli.launch import load_config
    from r21d_plugin.datasets.video_files import write_report
    from r21d_plugin.inference.feature_files import open_features
    from r21d_plugin.inference.features import extract_features, use_layer
    from r21d_plugin.inference.presets import PRESETS, Preset
    from r21d_plugin.inference.recognizer import load_recognizer, use_device
    from r21d_plugin.inference.sliding_window import SlidingWindow

    preset = PRESETS.get(args.preset, Preset())
    if args.keep:
        preset = preset._replace(keep=tuple(sorted(args.keep)))
    if args.segments is not None:
        preset = preset._replace(segments=args.segments)
    check_whole('--segments', preset.segments, least=0)
    shard = find_shard(args.shard)
    cfg = load_config(args.config, args.cfg_options)
    videos = find_named_videos(args, preset, shard)
    pipeline = preset.pipeline(cfg)
    device = use_device(device_of_process(args.device))
    model = load_recognizer(cfg, args.checkpoint, device, head='unused')
    if args.layer:
        use_layer(model, args.layer)
    window = SlidingWindow(pipeline, args.stride, args.batch_size, whole=preset.exact)
    kept: dict[str, Any] = dict(keep=preset.keep, segments=preset.segments)
    options = dict(kept, layer=args.layer, preset=args.preset)
    settings = feature_settings(cfg, args.checkpoint, model, window, options)
    store = open_features(args.out, settings, videos)
    form = '{l_bar}{bar}| {n:.1f}/{total} videos [{elapsed}<{remaining}]'
    with tqdm(total=len(videos), bar_format=form, desc=escape_bytes(args.out)) as bar:

        def progress(share: float) -> None:
            bar.update(min(share, len(videos) - bar.n))  # shares add up to 1 up to rounding

        extracted = extract_features(model, window, videos, store, args.workers, progress, **kept)
        try:
            done = list(extracted)
        except KeyboardInterrupt:
            sys.exit('error: stopped: run the same command again to resume')
    print(write_report(done, shard.name(store.report)))
    store.finish(all_done=shard.parts == 1)


if __name__ == '__main__':
    arguments = parse_args()
    with errors_in_one_line():
        extract(arguments)

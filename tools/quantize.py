"""Write a checkpoint that also contains the network in int8, for OpenVINO on a CPU.

NNCF calibrates with clips of the training list. The int8 network is stored if its accuracy on the
config's test videos, which must be different ones, does not drop too much. Test the checkpoint with
--runtime openvino --dtype int8.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r21d_plugin import InputError
from r21d_plugin._atomic import check_writable
from r21d_plugin.cli.arguments import CHECKPOINT_HELP, add_config_options
from r21d_plugin.cli.errors import errors_in_one_line

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help=CHECKPOINT_HELP)
    parser.add_argument('out', type=Path, help='checkpoint to write, .pth')
    parser.add_argument(
        '--calibrate',
        metavar='LIST',
        help="annotation file of the videos to calibrate with, in the config's training folder; "
        "default: the config's training list",
    )
    parser.add_argument('--clips', type=int, default=125, help='clips to calibrate with (125)')
    parser.add_argument(
        '--max-drop', type=float, default=0.5, help='largest drop of video@1 in points (0.5)'
    )
    add_config_options(parser)
    return parser.parse_args()


def calibration_clips(cfg: Config, ann_file: str | None, count: int) -> Any:
    """Load the middle clips of videos spread evenly over the training list or ``ann_file``."""
    import numpy as np

    from r21d_plugin.datasets.pipelines import SAMPLERS, update_transform
    from r21d_plugin.datasets.wrappers import inner_datasets

    for key in ('train_dataloader', 'test_dataloader'):
        if cfg.get(key) is None:
            raise InputError(f'{cfg.filename}: has no {key}: its videos are needed')
    given, test = (
        inner_datasets(cfg[key].dataset)[0] for key in ('train_dataloader', 'test_dataloader')
    )
    pipeline = update_transform(test.pipeline, *SAMPLERS, num_clips=1)
    ann_file = ann_file or given.ann_file
    if Path(ann_file).resolve() == Path(test.ann_file).resolve():
        raise InputError(f'{ann_file}: is the list of the test: calibrate with other videos')
    changed = dict(ann_file=ann_file, pipeline=pipeline, test_mode=True, on_error='raise')
    videos = build(cfg, 'train_dataloader', dict(given, **changed))
    numbers = np.linspace(0, len(videos) - 1, count).round().astype(int)
    videos.indices = np.unique(numbers).tolist()
    return videos


def build(cfg: Config, key: str, dataset: dict) -> Any:
    """Build a dataset of a config as a sequence."""
    from torch.utils.data import Subset

    from r21d_plugin.cli.explain import build_dataset

    videos = build_dataset(cfg, key, dataset)
    return Subset(videos, range(len(videos)))


def main() -> None:
    """Quantise, and print both accuracies."""
    args = parse_args()
    with errors_in_one_line():
        import torch

        from r21d_plugin.cli.launch import load_config
        from r21d_plugin.inference.quantization import quantize
        from r21d_plugin.inference.recognizer import load_recognizer
        from r21d_plugin.inference.video_inputs import pipeline_of
        from r21d_plugin.weights import save_checkpoint

        if args.out.suffix != '.pth':
            raise InputError(f'{args.out}: name a file that ends in .pth')
        if args.clips < 1:
            raise InputError(f'--clips {args.clips}: at least 1')
        if not args.max_drop >= 0:
            raise InputError(f'--max-drop {args.max_drop:g}: points of video@1, at least 0')
        cfg = load_config(args.config, args.cfg_options)
        check_writable(args.out)
        model = load_recognizer(cfg, args.checkpoint, torch.device('cpu'))
        clips = calibration_clips(cfg, args.calibrate, args.clips)
        held_out = build(cfg, 'test_dataloader', cfg.test_dataloader.dataset)
        accuracies = quantize(model, clips, held_out, args.max_drop / 100)
        parts = dict(preprocessor=cfg.model.data_preprocessor, pipeline=pipeline_of(cfg))
        about = dict(
            config=Path(args.config).stem,
            checkpoint=args.checkpoint,
            clips=len(clips),
            preprocessing=json.dumps(parts, default=str),
            **accuracies,
        )
        classes = list(model.dataset_meta.get('classes', ()))
        meta = dict(dataset_meta=dict(classes=classes), quantization=about)
        state_dict = model.state_dict()
        save_checkpoint(dict(meta=meta, state_dict=state_dict, int8=model.int8), args.out)
    for dtype, values in accuracies.items():
        print(dtype, *(f'{name} {value:.2%}' for name, value in values.items()), sep='  ')
    print(args.out)


if __name__ == '__main__':
    main()

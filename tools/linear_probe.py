"""Train only the classifier of a finetuning config, on features that are computed once.

This takes minutes on a CPU. The result is WORK_DIR/linear_probe.pth, an ordinary checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r21d_plugin import InputError
from r21d_plugin._atomic import check_writable
from r21d_plugin.cli.arguments import add_config_options
from r21d_plugin.cli.errors import errors_in_one_line

if TYPE_CHECKING:
    from mmengine.config import Config

    from r21d_plugin.inference.linear_probe import ClipFeatures


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', type=Path, help='folder for the checkpoint')
    parser.add_argument('--device', help='cpu, cuda or cuda:1; default: a GPU if there is one')
    add_config_options(parser)
    return parser.parse_args()


def build_videos(cfg: Config, name: str) -> Any:
    """Build the dataset of a dataloader, with the clips per video of a test."""
    from r21d_plugin.cli.explain import build_dataset

    key, pipeline = f'{name}_dataloader', cfg.test_dataloader.dataset.pipeline
    return build_dataset(cfg, key, dict(cfg[key].dataset, pipeline=pipeline, test_mode=True))


def features_of(model: Any, videos: Any, workers: int, title: str, report: Path) -> ClipFeatures:
    """Compute the features of the clips of videos; list those that do not decode in a report."""
    from torch.utils.data import DataLoader
    from tqdm import tqdm

    from r21d_plugin.datasets.video_files import SkippedVideos
    from r21d_plugin.engine.skipped_videos import check_fraction
    from r21d_plugin.inference.linear_probe import ClipFeatures
    from r21d_plugin.inference.video_inputs import init_loader_worker

    loader = DataLoader(
        videos, batch_size=None, num_workers=workers, worker_init_fn=init_loader_worker
    )
    skipped = SkippedVideos()
    features = ClipFeatures.of(model, tqdm(loader, desc=title, unit='video'), skipped)
    skipped.write(report)
    if skipped.skipped:
        print(f'{title}: skipped {skipped}: see {report}')
        check_fraction(report, skipped, videos)
    return features


def main() -> None:
    """Train the classifier."""
    args = parse_args()
    with errors_in_one_line():
        from r21d_plugin.cli.launch import load_config
        from r21d_plugin.inference.linear_probe import best_classifier
        from r21d_plugin.inference.recognizer import load_recognizer, use_device
        from r21d_plugin.models.tasks import check_classes
        from r21d_plugin.weights import save_checkpoint

        cfg = load_config(args.config, args.cfg_options)
        if cfg.get('load_from') is None:
            raise InputError(f'{args.config}: no load_from: a linear probe needs weights')
        work_dir = args.work_dir or Path('work_dirs', Path(args.config).stem)
        path = work_dir / 'linear_probe.pth'
        check_writable(path)
        model = load_recognizer(cfg, cfg.load_from, use_device(args.device), head='any')
        check_classes(model.cls_head, 'a linear probe')
        videos = {name: build_videos(cfg, name) for name in ('train', 'val')}
        training, validation = (
            features_of(
                model,
                videos[name],
                cfg[f'{name}_dataloader'].num_workers,
                name,
                work_dir / f'skipped_{name}_videos.txt',
            )
            for name in videos
        )
        head = model.cls_head
        weight = cfg.model.cls_head.get('loss_cls', {}).get('class_weight')
        classifier, decay, accuracy = best_classifier(
            training, validation, head.num_classes, weight
        )
        print(f'accuracy in validation: {accuracy:.1%}, with a weight decay of {decay:g}')
        head.fc_cls.load_state_dict(classifier.state_dict())
        meta = dict(dataset_meta=videos['train'].metainfo)
        save_checkpoint(dict(meta=meta, state_dict=model.state_dict()), path)
        cfg.dump(str(work_dir / Path(cfg.filename).name))
        print(path)


if __name__ == '__main__':
    main()

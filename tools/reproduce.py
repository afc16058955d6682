"""Test public weights on Kinetics-400's validation videos, and compare with published accuracy.

The weights are downloaded. Subsets are reproducible: they have the first available videos, sorted
by the SHA-256 of their YouTube ids. The log, WORK_DIR/NAME.json, has all facts needed to compare
results.
"""

from __future__ import annotations

import argparse
import platform
import time
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r21d_plugin.cli.arguments import add_config_options
from r21d_plugin.cli.errors import errors_in_one_line

if TYPE_CHECKING:
    from r21d_plugin.datasets.kinetics_subset import FixedList

PACKAGES = ('r21d_plugin', 'torch', 'numpy', 'mmengine', 'mmaction', 'av')


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'weights', help='name of public weights or words of it, such as torchvision_r2plus1d_18'
    )
    parser.add_argument(
        '--videos', type=Path, required=True, help='folder of the validation videos, in any layout'
    )
    parser.add_argument(
        '--annotations',
        type=Path,
        help='official validate.csv, or a list of paths below --videos and labels; without it, the '
        'folder of each video is named after its class',
    )
    parser.add_argument('--subset', type=int, metavar='N', help='number of videos (all)')
    parser.add_argument('--work-dir', type=Path, help='folder for the log (work_dirs/reproduce)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda if there is a GPU')
    add_config_options(parser)
    return parser.parse_args()


def configure(cfg: Any, videos: FixedList, folder: Path, work_dir: Path) -> None:
    """Make a config test a list of videos, and store the scores in the work dir."""
    from r21d_plugin import InputError
    from r21d_plugin._atomic import atomic_write

    dataset = cfg.test_dataloader.dataset
    if 'kinetics400' not in dataset.ann_file:
        raise InputError(f'{cfg.filename}: tests {dataset.ann_file}, not Kinetics-400')
    with atomic_write(work_dir / 'videos.txt', parents=True) as partial:
        lines = ''.join(f'{path} {label}\n' for path, label in videos.videos)
        partial.write_text(lines, 'utf-8')
    dataset.ann_file = str(work_dir / 'videos.txt')
    dataset.data_prefix = dict(video=str(folder))
    dataset.on_error = 'skip'
    cfg.work_dir, cfg.resume = str(work_dir), False
    dump = dict(type='r21d_plugin.DumpScores', out_file_path=str(work_dir / 'scores.npz'))
    cfg.test_evaluator = [cfg.test_evaluator, dump]


def versions() -> dict[str, str]:
    """Return the versions of the packages on which results depend."""
    modules = {name: import_module(name).__version__ for name in PACKAGES}
    return {'python': platform.python_version(), **modules}


def device_name(device: str | None) -> str:
    """Return the name of the GPU, or the kind of CPU, of a test."""
    import torch

    if device == 'cpu' or not torch.cuda.is_available():
        return f'CPU, {platform.machine()}'
    return torch.cuda.get_device_name()


def reproduce(args: argparse.Namespace) -> None:
    """Download, test, compare and write the log."""
    import hashlib

    from r21d_plugin._atomic import write_json
    from r21d_plugin._errors import check_whole
    from r21d_plugin.cli import launch
    from r21d_plugin.cli.runner import CommandRunner
    from r21d_plugin.datasets.kinetics_subset import fixed_list
    from r21d_plugin.evaluation.intervals import CONFIDENCE, intervals
    from r21d_plugin.evaluation.reproduction import compare, find_published
    from r21d_plugin.evaluation.scores import read_scores
    from r21d_plugin.weights import download

    if args.subset is not None:
        check_whole('--subset', args.subset, least=2)
    name, row = find_published(args.weights)
    videos = fixed_list(args.videos, args.annotations, args.subset)
    work_dir = (args.work_dir or Path('work_dirs/reproduce')).absolute()
    cfg = launch.load_config(f'configs/{row.config}.py', args.cfg_options)
    configure(cfg, videos, args.videos.absolute(), work_dir)
    weights = download(row.url)
    cfg.load_from = str(weights)
    begin = time.monotonic()
    with launch.processes(cfg, 'none', args.device):
        CommandRunner.from_cfg(cfg).test()
    scores = read_scores(work_dir / 'scores.npz')
    measured = intervals(scores)
    (clips,) = {len(of_video.clips) for of_video in scores.values()}
    log = dict(
        weights=dict(name=name, url=row.url),
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        config=row.config,
        options=args.cfg_options or {},
        list=dict(videos=len(videos.videos), missing=videos.missing, sha256=videos.sha256),
        tested=dict(videos=len(scores), clips=clips),
        confidence=CONFIDENCE,
        here={metric: found._asdict() for metric, found in measured.items()},
        published=dict(row.metrics, test=row.test),
        versions=versions(),
        device=device_name(args.device),
        finished=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        seconds=round(time.monotonic() - begin, 1),
    )
    write_json(work_dir / f'{name}.json', log)
    print(f'\n{name}: {len(scores)} videos of {clips} clips; published with {row.test}')
    print(f'\n{compare(measured, row.metrics)}\n\nlog: {work_dir / name}.json')


def main() -> None:
    """Reproduce."""
    args = parse_args()
    with errors_in_one_line():
        reproduce(args)


if __name__ == '__main__':
    main()

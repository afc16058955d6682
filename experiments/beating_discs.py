"""Train a network to measure the contraction of beating discs, by EchoNet-Dynamic's recipe.

The videos have the format of EchoNet-Dynamic: gray, 112 x 112 pixels, 50 frames per second. A dark
ellipse beats in noise. The ejection fraction is the relative loss of area from its largest to its
smallest size. Size, shape, place, rate and phase are random. The script prints and draws the
errors.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from tabulate import tabulate

from experiments.finetuning import call
from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.evaluation.plots import save_figure
from r21d_plugin.evaluation.video_metrics import RegressionMetric

CONFIG = 'configs/r2plus1d_18_echonet_32f.py'
SIDE, FRAMES, FPS = 112, 96, 50
QUICK = {
    'weights': None,  # a narrow network, from scratch
    'model.backbone.base_channels': 8,
    'model.cls_head.in_channels': 64,
    **{f'{name}_dataloader.num_workers': 1 for name in ('train', 'val', 'test')},
    **dict(clip_len=16, frame_interval=4, padding=6),
    'read.scale': (56, 56),
    'model.cls_head.target_std': None,  # computed from the training list
    'optim_wrapper.optimizer.lr': 0.02,
    'train_dataloader.batch_size': 8,
    'auto_scale_lr.enable': False,
    'param_scheduler.0.step_size': 40,
    'train_cfg.max_epochs': 60,
}
"""Changes to the config, so that training takes minutes on one core."""


def render(fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Render a video, T x 112 x 112 uint8, with an ejection fraction, 0 to 1."""
    half = rng.uniform(18, 26) * np.array([1, rng.uniform(1.2, 1.6)])  # half axes in pixels
    centre = SIDE / 2 + rng.uniform(-10, 10, 2)
    tilt, phase = np.deg2rad(rng.uniform(-25, 25)), rng.uniform(0, 2 * np.pi)
    beats = rng.uniform(50, 100) / 60 * np.arange(FRAMES) / FPS
    area = 1 - fraction * (1 - np.cos(2 * np.pi * beats + phase)) / 2
    x, y = np.meshgrid(*[np.arange(SIDE) - c for c in centre])
    along, across = x * np.cos(tilt) + y * np.sin(tilt), y * np.cos(tilt) - x * np.sin(tilt)
    distance = np.hypot(along / half[0], across / half[1]) / np.sqrt(area)[:, None, None]
    wall = 110 / (1 + np.exp(-12 * (distance - 1)))  # dark inside
    return np.clip(30 + wall + rng.normal(0, 25, wall.shape), 0, 255).astype(np.uint8)


def write_video(path: Path, frames: np.ndarray) -> None:
    """Encode frames, T x H x W, as Motion JPEG."""
    code = cv2.VideoWriter_fourcc(*'MJPG')  # type: ignore[attr-defined]
    video = cv2.VideoWriter(str(path), code, FPS, (SIDE, SIDE), isColor=False)
    for frame in frames:
        video.write(frame)
    video.release()


def make_videos(folder: Path, seed: int) -> None:
    """Write ``Videos`` and ``FileList.csv`` to a folder."""
    (folder / 'Videos').mkdir(parents=True, exist_ok=True)
    rows = ['FileName,EF,Split']
    for split in 64 * ['TRAIN'] + 16 * ['VAL'] + 20 * ['TEST']:
        name = f'0X{len(rows):04X}'
        rng = np.random.default_rng([seed, len(rows)])
        fraction = rng.uniform(0.15, 0.8)
        rows.append(f'{name},{100 * fraction:.2f},{split}')
        write_video(folder / f'Videos/{name}.avi', render(fraction, rng))
    (folder / 'FileList.csv').write_text('\n'.join(rows) + '\n')


def draw(predicted: np.ndarray, true: np.ndarray, path: Path) -> None:
    """Draw predicted against true ejection fractions, in per cent."""
    axes = (figure := Figure(figsize=(3.6, 3.6), layout='constrained')).subplots()
    axes.plot([10, 85], [10, 85], color='gray', linewidth=1)
    axes.scatter(true, predicted, 14)
    axes.set(xlabel='true ejection fraction (%)', ylabel='predicted (%)', aspect='equal')
    save_figure(figure, path)


def main() -> None:
    """Make the videos, train, test, and print the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/discs'), help='folder')
    parser.add_argument('--seed', type=int, default=0, help='seed of videos and training (0)')
    args = parser.parse_args()
    with errors_in_one_line():
        out = args.out / f'seed_{args.seed}'
        data = out / 'data'
        if not (out / 'FileList.csv').exists():
            make_videos(out, args.seed)
        files = ['--videos', out / 'Videos', '--annotations', out / 'FileList.csv']
        call(out / 'prepare.log', 'data/prepare.py', 'echonet', *files, '--out', data)
        options: list = [f'{key}={value}' for key, value in dict(QUICK, data_root=data).items()]
        common = ['--work-dir', out / 'run', '--device', 'cpu']
        options = ['--resume', '--seed', args.seed, '--cfg-options', *options]
        call(out / 'train.log', 'train.py', CONFIG, *common, *options)
        (best,) = (out / 'run').glob('best_RMSE_*.pth')
        config, dump = out / 'run' / Path(CONFIG).name, out / 'scores.npz'
        call(out / 'test.log', 'test.py', config, best, *common, '--dump', dump)
        with np.load(dump) as file:
            predicted, true = file['scores'].mean(1), file['targets']
        trained = np.loadtxt(data / 'echonet_train_list_videos.txt', usecols=1)
        rows = []
        for title, values in (('network', predicted), ('mean', np.full_like(true, trained.mean()))):
            found = RegressionMetric(resamples=0).measure_all(values, true)
            rows.append([title, *(f'{found[name]:.2f}' for name in ('R2', 'MAE', 'RMSE'))])
        print(tabulate(rows, ['prediction', 'R2', 'MAE', 'RMSE'], tablefmt='github'))
        draw(predicted, true, out / 'predictions.svg')


if __name__ == '__main__':
    main()

"""Measure the benefit of pretraining and of each finetuning setting on little data.

The motion dataset is split in two. A narrow R(2+1)D-18 learns five motions, and is finetuned on the
other five with each setting, with several seeds of data and training. The script prints a table.
Finished runs of earlier calls are not repeated.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from tabulate import tabulate

from experiments.motion import MOTIONS, render, write_video
from r21d_plugin._errors import InputError
from r21d_plugin.evaluation.results import last_test

TOOLS = Path(__file__).parents[1] / 'tools'
CONFIG = 'configs/finetune_r2plus1d_18.py'
NEW = ('left', 'up', 'left_fast', 'counterclockwise', 'zoom_out')
OLD = tuple(name for name in MOTIONS if name not in NEW)
INPUT = ('clip_len=8', 'target_fps=None', 'scale=(64,64)', 'crop=48', 'flip=0', 'num_workers=1')
SCRATCH = ('weights=None', 'model.backbone.base_channels=8', 'model.cls_head.in_channels=64')
LONG = ('lr=0.02', 'dropout=0', 'label_smoothing=0', 'color=0')  # settings without pretraining

RUNS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    'finetuned, 20 videos a class': (20, ()),
    'without pretraining, 20 videos a class': (20, SCRATCH),
    'the same, with settings for it': (20, (*SCRATCH, *LONG)),
    'finetuned, 5 videos a class': (5, ()),
    'lr=0.001': (5, ('lr=0.001',)),
    'lr=0.02': (5, ('lr=0.02',)),
    'clips=500': (5, ('clips=500',)),
    'frozen_stages=1': (5, ('frozen_stages=1',)),
    'norm_eval': (5, ('model.backbone.norm_eval=True',)),
    'dropout=0': (5, ('dropout=0',)),
    'label_smoothing=0': (5, ('label_smoothing=0',)),
    'crop_area=None': (5, ('crop_area=None',)),
    'color=0': (5, ('color=0',)),
    'the rate of the network for the classifier': (
        5,
        ('optim_wrapper.paramwise_cfg.custom_keys.cls_head.lr_mult=1',),
    ),
}
"""Training videos per class and options, by name in the table."""


def make_videos(folder: Path, classes: Sequence[str], counts: Mapping[str, int], seed: int) -> None:
    """Write videos to ``folder/SET/CLASS``, unless they exist."""
    for number, (name, count) in enumerate(counts.items()):
        for label in classes:
            (folder / name / label).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                # A name that ends with a number would be taken for a part of a video.
                path = folder / name / label / f'{label}-{i}x.mp4'
                if not path.exists():
                    rng = np.random.default_rng([seed, number, list(MOTIONS).index(label), i])
                    write_video(path, render(MOTIONS[label], rng))


def call(log: Path, script: str, *arguments: object) -> None:
    """Run a script and log its output; raise an InputError if it fails."""
    words = [sys.executable, str(TOOLS / script), *map(str, arguments)]
    env = dict(os.environ, OMP_NUM_THREADS='1')  # makes runs reproducible bit for bit
    with log.open('w') as file:
        if subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, env=env).returncode:
            raise InputError(f'{log}: {script} failed')


class Study:
    """The runs of a seed, in a folder; each run is done once."""

    def __init__(self, out: Path, seed: int) -> None:
        self.out, self.seed = out / f'seed_{seed}', seed
        self.out.mkdir(parents=True, exist_ok=True)

    def lists(self, name: str, classes: Sequence[str], **counts: int) -> Path:
        """Make videos and their lists."""
        lists = self.out / f'{name}_lists'
        if not lists.exists():
            make_videos(self.out / name, classes, counts, self.seed)
            videos, log = self.out / name, self.out / f'{name}.log'
            call(log, 'data/prepare.py', 'folder', videos, '--out', lists)
        return lists

    def train(self, name: str, data: Path, *options: str) -> Path:
        """Train, and return the checkpoint with the best validation result."""
        folder = self.out / name
        finished = folder / 'finished'
        if not finished.exists():
            changes = ['--cfg-options', f'data_root={data}', *INPUT, *options]
            common = ['--work-dir', folder, '--device', 'cpu', '--seed', self.seed, *changes]
            call(self.out / f'{name}.log', 'train.py', CONFIG, '--resume', *common)
            finished.touch()
        (best,) = folder.glob('best_*.pth')
        return best

    def accuracy(self, name: str, videos: int, options: Sequence[str]) -> float:
        """Train and test; return video@1, 0 to 1, with ten clips per video."""
        old = self.lists('old', OLD, train=100, val=20)
        pretrained = self.train('pretrained', old, *SCRATCH, *LONG, 'clips=4000')
        data = self.lists(f'new_{videos}', NEW, train=videos, val=max(5, videos // 2), test=40)
        weights = [] if 'weights=None' in options else [f'weights={pretrained}']
        best = self.train(name, data, *weights, *options)
        folder = self.out / name
        try:
            return last_test(folder)['video@1']
        except InputError:
            config = folder / Path(CONFIG).name
            common = ['--work-dir', folder, '--device', 'cpu']
            call(self.out / f'{name}_test.log', 'test.py', config, best, *common)
        return last_test(folder)['video@1']


def main() -> None:
    """Run everything, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/finetuning'), help='folder')
    parser.add_argument('--seeds', type=int, default=3, help='number of seeds for every run (3)')
    args = parser.parse_args()
    from r21d_plugin.cli.errors import errors_in_one_line

    rows = []
    with errors_in_one_line():
        for number, (title, (videos, options)) in enumerate(RUNS.items()):
            studies = [Study(args.out.absolute(), seed) for seed in range(args.seeds)]
            found = [study.accuracy(f'run_{number}', videos, options) for study in studies]
            rows.append([title, *(f'{value:.1%}' for value in found), f'{fmean(found):.1%}'])
            print(tabulate(rows[-1:], tablefmt='plain'), flush=True)
    header = ['', *(f'seed {seed}' for seed in range(args.seeds)), 'mean']
    print(tabulate(rows, header, tablefmt='github'))


if __name__ == '__main__':
    main()

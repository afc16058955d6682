"""Runs, tests and scales of the study."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from r21d_plugin.models.factory import backbone_cfg, list_models

from .hard_motion import ACTIONS

LENGTHS = (8, 16, 32)
"""Frames per clip (Table 3 and Figure 5a)."""

DATA = 'data'
"""Subfolder of the videos in the folder of the study."""

CONFIGS = Path(__file__).parents[2] / 'configs'


class Scale(NamedTuple):
    """Size of the study.

    Attributes:
        width (int): Filters of conv1, 64 in the paper.
        train (int): Number of training videos.
        val (int): Number of validation videos.
        epochs (int): Epochs per run.
        finetuning (int): Epochs of finetuning.
        epoch_size (int): Clips per epoch.
        batch_size (int): Clips per step.
        workers (int): Dataloader workers per run.
        seeds (int): Number of seeds with which each setting is run.
    """

    width: int
    train: int
    val: int
    epochs: int
    finetuning: int
    epoch_size: int
    batch_size: int
    workers: int
    seeds: int


SCALES = {
    'small': Scale(8, 2000, 240, 8, 3, 768, 8, 1, 2),
    'full': Scale(16, 4000, 320, 12, 3, 1024, 16, 1, 2),
}
"""Scales for two CPU cores and an hour, and for a GPU with 16 cores and minutes."""


class Run(NamedTuple):
    """A network that is trained and tested.

    Attributes:
        network (str): Name of the network for ``create_model``.
        frames (int): Frames per clip.
        seed (int): Seed.
        source (int, optional): Frames per clip in its pretraining. Defaults to
            None: trained from scratch.
    """

    network: str
    frames: int
    seed: int
    source: int | None = None

    @property
    def setting(self) -> str:
        """Name without the seed."""
        finetuned = '' if self.source is None else f'_from_{self.source}f'
        return f'{self.network}_{self.frames}f{finetuned}'

    @property
    def name(self) -> str:
        """Name of the run and of its folder."""
        return f'{self.setting}_seed{self.seed}'

    @property
    def pretraining(self) -> Run | None:
        """The run whose weights this run starts from."""
        if self.source is None:
            return None
        return self._replace(frames=self.source, source=None)


def runs(seeds: int) -> list[Run]:
    """List all runs: long ones first, for balanced load; runs that need others come last."""
    networks = list_models(18)
    settings = [
        *(('r2plus1d_18', frames, None) for frames in sorted(LENGTHS[1:], reverse=True)),
        *((name, LENGTHS[0], None) for name in ('r2plus1d_34', 'r3d_34', *reversed(networks))),
        ('r2plus1d_18', LENGTHS[-1], LENGTHS[0]),
    ]
    return [
        Run(network, frames, seed, source)
        for network, frames, source in settings
        for seed in range(seeds)
    ]


CONFIG = """\
# {name}: one run of the study.
_base_ = ['{configs}/_base_/recognizer.py', '{configs}/_base_/hard_motion.py']
from r21d_plugin.datasets import pipelines

model = dict(
    backbone={backbone},
    cls_head=dict(num_classes={classes}, in_channels={channels}),
)
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    clip_len={frames}, scale=(64, 64), crop=48, flip=0
)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)
train_dataloader.update(
    batch_size={batch_size}, num_workers={workers}, sampler=dict(epoch_size={epoch_size})
)
train_dataloader['dataset'].update(
    ann_file='{data}/motion_train_list_videos.txt', data_prefix=dict(video='{data}/videos_train')
)
val_dataloader.update(num_workers={workers})
val_dataloader['dataset'].update(
    ann_file='{data}/motion_val_list_videos.txt', data_prefix=dict(video='{data}/videos_val')
)
test_dataloader.update(num_workers={workers})
test_dataloader['dataset'].update(val_dataloader['dataset'], pipeline=test_pipeline)

optim_wrapper = dict(optimizer=dict(lr={lr}))
auto_scale_lr = dict(base_batch_size={batch_size})
train_cfg = dict(max_epochs={epochs}, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='MultiStepLR', milestones={milestones}, gamma=0.1),
]
randomness = dict(seed={seed})
load_from = {load_from!r}
default_hooks = dict(checkpoint=dict(max_keep_ckpts=1, save_best=None))
"""


class Test(NamedTuple):
    """A test of a run.

    Attributes:
        run (Run): The run.
        frames (int): Frames per clip.
        clips (int): Clips per video. Defaults to 10.
        videos (int): Number of videos, from the first. Defaults to -1: all.
    """

    run: Run
    frames: int
    clips: int = 10
    videos: int = -1

    @property
    def scores(self) -> str:
        """Path of the scores relative to the folder of the study."""
        return f'{self.run.name}/scores_{self.frames}f_{self.clips}clips.pkl'


MANY_CLIPS = 100
"""Largest number of test clips in Figure 5b."""


def tests_of(run: Run) -> list[Test]:
    """List the tests of a run: for Tables 2 and 3, and with many clips for Figure 5b."""
    tests = [Test(run, run.frames)]
    if run.network == 'r2plus1d_18' and run.source is None:
        if run.frames == LENGTHS[0]:
            tests.append(Test(run, LENGTHS[-1]))
        if run.frames == LENGTHS[-1]:
            tests.append(Test(run, run.frames, MANY_CLIPS, 5 * len(ACTIONS)))
    return tests


def epochs_of(run: Run, scale: Scale) -> int:
    """Return the number of epochs of a run."""
    return scale.epochs if run.source is None else scale.finetuning


def checkpoint(run: Run, scale: Scale, out: Path) -> Path:
    """Return the path of the last checkpoint of a run."""
    return out / run.name / f'epoch_{epochs_of(run, scale)}.pth'


def config(run: Run, scale: Scale, out: Path) -> str:
    """Build the config of a run, which can also be trained separately.

    Args:
        run (Run): The run.
        scale (Scale): Scale of the study.
        out (Path): Folder of the study.
    """
    epochs = epochs_of(run, scale)
    load_from = None
    if run.pretraining is not None:
        load_from = str(checkpoint(run.pretraining, scale, out))
    return CONFIG.format(
        name=run.name,
        configs=CONFIGS,
        backbone=dict(backbone_cfg(run.network, run.frames), base_channels=scale.width),
        classes=len(ACTIONS),
        channels=8 * scale.width,
        frames=run.frames,
        data=out / DATA,
        batch_size=scale.batch_size,
        workers=scale.workers,
        epoch_size=scale.epoch_size,
        lr=0.05 if run.source is None else 0.01,
        epochs=epochs,
        milestones=[max(1, round(epochs * part)) for part in (0.7, 0.9)],
        seed=run.seed,
        load_from=load_from,
    )

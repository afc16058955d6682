"""Scales and runs of the study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from r21d_plugin._errors import InputError
from r21d_plugin.models.factory import list_models

from .paper import TABLE_3_HOURS

SHORT_CLIP, LONG_CLIP = 8, 32
"""Frames per clip (Table 3)."""

SIX = ('fr2d_18', 'r2d_18', 'mc3_18', 'rmc3_18', 'r3d_18', 'r2plus1d_18')
"""The networks of the small scale: each kind in Table 2, and of the mixed ones the best two."""

TUNING = 1000
"""First seed of the runs that choose learning rates, which have videos of their own."""


class Scale(NamedTuple):
    """Size of the study.

    Attributes:
        networks (tuple[str, ...]): Networks, trained on clips of 8 frames.
        seeds (int): Number of seeds, each with its own videos.
        long_seeds (int): Number of the first seeds in which R(2+1)D-18 is also trained on clips of
            32 frames, which takes more than half of the time of a seed.
        width (int): Filters of conv1, 64 in the paper.
        train (int): Number of training videos.
        test (int): Number of test videos, and of videos on which rates are compared.
        many_clips (int): Number of test videos that are tested with 100 clips.
        batch_size (int): Clips per step.
        steps (int): Steps of training.
        tuning_seeds (int): Number of seeds of the runs that choose learning rates; 0 with one rate.
        tuning_steps (int): Steps of such a run.
        rates (tuple[float, ...]): Learning rates to choose from.
        first_seed (int): The first seed. Defaults to 0.
    """

    networks: tuple[str, ...]
    seeds: int
    long_seeds: int
    width: int
    train: int
    test: int
    many_clips: int
    batch_size: int
    steps: int
    tuning_seeds: int
    tuning_steps: int
    rates: tuple[float, ...]
    first_seed: int = 0

    @classmethod
    def read(cls, path: Path) -> Scale:
        """Read the scale of a study from its ``settings.json``.

        Raises:
            InputError: If the file is missing or damaged.
        """
        try:
            content = json.loads(path.read_text('utf-8'))
            lists = {k: tuple(v) for k, v in content.items() if isinstance(v, list)}
            return cls(**{**content, **lists})
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f'{path}: not the settings of a study: {error}') from error

    @property
    def finetuning_steps(self) -> int:
        """Steps of finetuning: the part of the training time on 32 frames that it is in Table 3."""
        short, _, long, both = TABLE_3_HOURS
        return round(self.steps * (both - short) / long)


ALL = (*list_models(18), 'r3d_34', 'r2plus1d_34')

FULL = Scale(ALL, 5, 5, 16, 1024, 512, 160, 32, 1000, 1, 500, (0.03, 0.06))

SCALES = {
    'small': Scale(SIX, 8, 4, 8, 1024, 512, 160, 32, 1000, 1, 1000, (0.015, 0.03, 0.06)),
    'repeat': Scale(SIX[3:], 16, 3, 8, 1024, 512, 160, 32, 1000, 0, 0, (0.03,), first_seed=8),
    'full': FULL,
    'tenth': FULL._replace(
        seeds=2, long_seeds=2, test=64, many_clips=16, steps=100, tuning_steps=50
    ),
    'tiny': Scale(SIX, 2, 2, 4, 32, 16, 2, 4, 20, 1, 10, (0.03, 0.1)),
}
"""Scales: for two CPU cores; for what that left undecided, with new seeds; for a GPU; a tenth of
the latter, to try it; and for tests."""


class Run(NamedTuple):
    """A network that is trained and tested.

    Attributes:
        network (str): Name of the network for ``create_model``.
        frames (int): Frames per clip.
        seed (int): Seed of videos, batches and initialisation.
        rate (float, optional): Learning rate of a run that chooses one. Defaults to None: a run of
            the study, which has the rate that is best for its network.
        source (int, optional): Frames per clip in its pretraining. Defaults to None: trained from
            scratch.
    """

    network: str
    frames: int
    seed: int
    rate: float | None = None
    source: int | None = None

    @property
    def setting(self) -> str:
        """Name without the seed."""
        finetuned = '' if self.source is None else f'_from_{self.source}f'
        return f'{self.network}_{self.frames}f{finetuned}'

    @property
    def name(self) -> str:
        """Name of the run and of its files."""
        rate = '' if self.rate is None else f'_rate{self.rate:g}'
        return f'{self.setting}{rate}_seed{self.seed}'

    @property
    def pretraining(self) -> Run | None:
        """The run whose weights this run starts from."""
        return None if self.source is None else self._replace(frames=self.source, source=None)


def tuning_runs(scale: Scale) -> list[Run]:
    """List the runs that choose the learning rate of each network, seed by seed."""
    return [
        Run(network, SHORT_CLIP, TUNING + seed, rate)
        for seed in range(scale.tuning_seeds)
        for network in reversed(scale.networks)
        for rate in scale.rates
    ]


def runs(scale: Scale) -> list[Run]:
    """List the runs of the study seed by seed; a run comes after the one that it starts from."""
    short = [(network, SHORT_CLIP, None) for network in reversed(scale.networks)]
    long = [('r2plus1d_18', LONG_CLIP, SHORT_CLIP), ('r2plus1d_18', LONG_CLIP, None)]
    return [
        Run(network, frames, scale.first_seed + number, source=source)
        for number in range(scale.seeds)
        for network, frames, source in (short + long if number < scale.long_seeds else short)
    ]

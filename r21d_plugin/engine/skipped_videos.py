"""What becomes of the videos that datasets skip."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .._atomic import written_whole
from .._errors import InputError
from .._registries import HOOKS
from ..datasets.video_dataset import collate_decoded

ENOUGH = 1000
"""Videos read after which a run may end for those that were skipped, if the dataset has more."""


@dataclass
class Tally:
    """The videos read.

    Attributes:
        read (int): How many, each as often as it was.
        bad (int): Of these, how many did not decode.
        lines (set[str]): Which, and why.
    """

    read: int = 0
    bad: int = 0
    lines: set[str] = field(default_factory=set)

    def add(self, other: 'Tally') -> None:
        """Count what another has counted."""
        self.read += other.read
        self.bad += other.bad
        self.lines |= other.lines


@HOOKS.register_module()
class SkippedVideosHook(Hook):
    """Count and list the videos that datasets with ``on_error='skip'`` skip.

    The list is ``skipped_train_videos.txt`` in the work dir, or of ``val`` or
    ``test``; there is none if there are none. It is of the whole training,
    resumed or not, and of the last validation or test. A run ends when more than
    the dataset's ``max_bad_fraction`` of the videos read do not decode: as soon
    as 1000 or as many as the dataset has were read, and after an epoch of all
    processes.
    """

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        loader: Any = getattr(runner, f'{mode}_dataloader')
        if getattr(loader.dataset, 'on_error', 'raise') != 'skip':
            return
        if mode != 'train' and get_world_size() > 1 and getattr(loader.sampler, 'round_up', True):
            raise InputError(
                f"{mode}_dataloader.dataset.on_error='skip' in several processes needs a sampler "
                f'that repeats no video: set {mode}_dataloader.sampler.round_up=False'
            )
        loader.collate_fn = collate_decoded
        if mode != 'train' or mode not in self.tallies:
            self.tallies[mode] = Tally(lines=lines_before(runner, mode))

    def _before_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, mode: str = 'train'
    ) -> None:
        if mode not in self.tallies:
            return
        skipped = data_batch.pop('skipped')
        read = len(data_batch['data_samples']) + len(skipped)
        tally = self.tallies[mode]
        tally.add(Tally(read, len(skipped), set(skipped)))
        dataset = getattr(runner, f'{mode}_dataloader').dataset
        if is_main_process() and tally.read >= min(ENOUGH, len(dataset)):
            check(runner, mode, tally)

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if mode not in self.tallies:
            return
        total = Tally()
        for tally in all_gather_object(self.tallies[mode]):
            total.add(tally)
        if is_main_process():
            path = write_list(runner, mode, total)
            if total.bad:
                runner.logger.warning(f'{mode}: skipped {in_words(total)}: see {path}')
        check(runner, mode, total)


def list_of(runner: Runner, mode: str) -> Path:
    """Path of the list of skipped videos."""
    return Path(runner.work_dir) / f'skipped_{mode}_videos.txt'


def lines_before(runner: Runner, mode: str) -> set[str]:
    """What a training that is resumed has skipped before."""
    path = list_of(runner, mode)
    if mode != 'train' or not runner._resume or not path.exists():
        return set()
    return set(path.read_text(encoding='utf-8').splitlines())


def write_list(runner: Runner, mode: str, tally: Tally) -> Path:
    """Write the list of skipped videos, or remove that of an earlier run."""
    path = list_of(runner, mode)
    if tally.lines:
        with written_whole(path) as partial:
            partial.write_text(''.join(f'{line}\n' for line in sorted(tally.lines)), 'utf-8')
    else:
        path.unlink(missing_ok=True)
    return path


def in_words(tally: Tally) -> str:
    """How many were skipped, as 3 of 120 videos read."""
    return f'{tally.bad} of {tally.read} videos read'


def check(runner: Runner, mode: str, tally: Tally) -> None:
    """Check that not too many videos were skipped.

    Raises:
        InputError: If there were.
    """
    limit = getattr(runner, f'{mode}_dataloader').dataset.max_bad_fraction
    if tally.bad <= limit * tally.read:
        return
    if is_main_process():
        write_list(runner, mode, tally)
    raise InputError(
        f'{list_of(runner, mode)}: {in_words(tally)} do not decode, more than '
        f'max_bad_fraction={limit} allows: repair these, or raise it'
    )

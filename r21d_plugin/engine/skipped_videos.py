"""Hook that counts and lists skipped videos."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .._errors import InputError
from .._registries import HOOKS
from ..datasets.video_dataset import collate_without_skipped
from ..datasets.video_files import SkippedVideos
from ..datasets.wrappers import inner_datasets


@HOOKS.register_module()
class SkippedVideosHook(Hook):
    """Count and list the videos that datasets with ``on_error='skip'`` skip.

    The list, if any, is ``skipped_train_videos.txt`` (or ``val``, ``test``) in the work dir. It
    covers the whole training, including resumed parts, or the last validation or test. The run ends
    with an error if more than the dataset's ``max_bad_fraction`` of the videos read do not decode.
    This is checked once 1000 videos (or as many as the dataset has) were read, and after each
    epoch, over all processes.
    """

    def __init__(self) -> None:
        self.counts: dict[str, SkippedVideos] = {}

    def before_train(self, runner: Runner) -> None:
        """Collate without skipped videos, also for hooks that read a batch before the training."""
        loader, loop = runner.train_dataloader, runner.train_loop
        omit_skipped(loader)
        iterator = getattr(loop, 'dataloader_iterator', None)  # of an iteration-based loop
        if iterator and skipping_datasets(loader.dataset):
            loop.dataloader_iterator = type(iterator)(loader)  # the old one collates as before

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        loader: Any = getattr(runner, f'{mode}_dataloader')
        if not skipping_datasets(loader.dataset):
            return
        if mode != 'train' and get_world_size() > 1 and getattr(loader.sampler, 'round_up', True):
            raise InputError(
                f"{mode}_dataloader.dataset.on_error='skip' in several processes needs a sampler "
                f'that repeats no video: set {mode}_dataloader.sampler.round_up=False'
            )
        omit_skipped(loader)
        if mode != 'train' or mode not in self.counts:
            self.counts[mode] = SkippedVideos()
            path = list_path(runner, mode)
            if mode == 'train' and runner.cfg.get('resume') and path.exists():
                self.counts[mode].reasons.update(path.read_text(encoding='utf-8').splitlines())

    def _before_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, mode: str = 'train'
    ) -> None:
        if (videos := self.counts.get(mode)) is None:
            return
        skipped = data_batch.pop('skipped')
        videos.add(len(data_batch['data_samples']) + len(skipped), len(skipped), skipped)
        dataset = getattr(runner, f'{mode}_dataloader').dataset
        if is_main_process() and videos.read >= min(1000, len(dataset)):
            check_fraction(list_path(runner, mode), videos, dataset)

    def _after_epoch(self, runner: Runner, mode: str = 'train') -> None:
        if mode not in self.counts:
            return
        total, path = SkippedVideos(), list_path(runner, mode)
        for videos in all_gather_object(self.counts[mode]):
            total.add(videos.read, videos.skipped, videos.reasons)
        if is_main_process():
            total.write(path)
            if total.skipped:
                runner.logger.warning(f'{mode}: skipped {total}: see {path}')
        check_fraction(path, total, getattr(runner, f'{mode}_dataloader').dataset)


def omit_skipped(loader: Any) -> None:
    """Make a loader of datasets with ``on_error='skip'`` collate the videos that decode."""
    collate = loader.collate_fn
    if skipping_datasets(loader.dataset) and (
        getattr(collate, 'func', None) is not collate_without_skipped
    ):
        loader.collate_fn = partial(collate_without_skipped, collate=collate)


def skipping_datasets(dataset: Any) -> list[Any]:
    """List the datasets with ``on_error='skip'`` in a dataset or dataset wrapper."""
    inner = inner_datasets(dataset)
    return [found for found in inner if getattr(found, 'on_error', 'raise') == 'skip']


def list_path(runner: Runner, mode: str) -> Path:
    """Return the path of the list of skipped videos."""
    return Path(runner.work_dir) / f'skipped_{mode}_videos.txt'


def check_fraction(path: Path, videos: SkippedVideos, dataset: Any) -> None:
    """Write the list, and raise an InputError if too many videos of a dataset were skipped.

    In a wrapper of several datasets, the smallest ``max_bad_fraction`` applies to all videos.
    """
    limit = min(found.max_bad_fraction for found in skipping_datasets(dataset))
    if videos.skipped > limit * videos.read:
        if is_main_process():
            videos.write(path)
        raise InputError(
            f'{path}: {videos} do not decode, more than max_bad_fraction={limit} allows: '
            'repair them, or raise it'
        )

"""Checkpoints that a run killed at any moment resumes from."""

import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, Runner

from .._atomic import atomic_write
from .._errors import InputError
from .._registries import HOOKS

VALIDATED = 'validated_epoch'
"""Name in the message hub of the last epoch that was validated."""

NOTE = 'last_checkpoint'
"""File of the work dir in which MMEngine notes the path of the last checkpoint."""


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """MMEngine's hook, for runs that may be killed at any moment.

    A checkpoint is complete before the one it replaces is removed, and so is the note of which is
    the last. One that was validated is saved again, with what the validation has changed (the best
    accuracy, schedules that follow the accuracy), so that a resumed run is in the state of the
    unbroken one. If the kill came before that, the resumed run begins with the validation. The
    arguments are those of MMEngine's hook.
    """

    kept: Sequence[int] = ()

    def before_train(self, runner: Runner) -> None:
        """Prepare, and validate what was resumed if that has not been done.

        Raises:
            InputError: If checkpoints fall inside epochs, where none resumes.
        """
        loop = runner.train_loop
        in_epochs = isinstance(loop, EpochBasedTrainLoop)
        if in_epochs and not self.by_epoch:
            raise InputError(
                'default_hooks.checkpoint.by_epoch=False: training resumes where an epoch ends: '
                'leave it out, and lower train_dataloader.sampler.epoch_size to save more often'
            )
        super().before_train(runner)
        self.kept = list(getattr(self, 'keep_ckpt_ids', ()))
        validated = runner.message_hub.runtime_info.get(VALIDATED, 0)
        if in_epochs and runner.val_loop is not None and validated < loop.epoch:
            loop._decide_current_val_interval()
            is_last = loop.epoch == loop.max_epochs
            if loop.epoch >= loop.val_begin and (loop.epoch % loop.val_interval == 0 or is_last):
                runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoint, and the last one again."""
        runner.message_hub.update_info(VALIDATED, runner.epoch)
        super().after_val_epoch(runner, metrics)
        if self.by_epoch and self.kept and self.kept[-1] == runner.epoch:
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, runner.epoch, meta)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        if step not in self.kept:  # it is saved again after its validation
            self.kept = [*self.kept, step]
        # With the one to be removed, which a run that was killed removes when it is resumed.
        runner.message_hub.update_info('keep_ckpt_ids', list(self.kept))
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._tidy(runner.work_dir)

    @master_only
    def _tidy(self, work_dir: str) -> None:
        with atomic_write(Path(work_dir, NOTE)) as partial:
            partial.write_text(self.last_ckpt)
        while 0 < self.max_keep_ckpts < len(self.kept):
            first, *self.kept = self.kept
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(first))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)


def latest_checkpoint(work_dir: str, logger: logging.Logger) -> str | None:
    """Find where a run that was stopped continues.

    That is at the checkpoint noted as the last one or, if that is missing or damaged, at the newest
    whole one; the logger is told.

    Returns:
        str, optional: Path or address; None if the run saved no checkpoint.

    Raises:
        InputError: If there are checkpoints, and none of them is whole.
    """
    note = Path(work_dir, NOTE)
    noted = note.read_text().strip() if note.exists() else ''
    if '://' in noted or is_whole(Path(noted)):
        return noted
    found = [path for kind in ('epoch', 'iter') for path in Path(work_dir).glob(f'{kind}_*.pth')]
    found.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    if not found and not noted:
        return None
    for path in found:
        if is_whole(path):
            logger.warning(f'{noted or note} is damaged or missing: resuming from {path}')
            return str(path)
    names = ', '.join(path.name for path in found) or noted
    raise InputError(
        f'{work_dir}: nothing to resume from, damaged or missing: {names}: remove that and {NOTE} '
        'to begin anew, or name a checkpoint after --resume'
    )


def is_whole(path: Path) -> bool:
    """Whether a file is there and is all that torch has written, by its checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False

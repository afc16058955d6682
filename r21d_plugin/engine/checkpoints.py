"""Checkpoints that a run killed at any moment resumes from."""

from __future__ import annotations

import inspect
import logging
import re
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, Runner

from .._errors import InputError
from .._registries import HOOKS
from ..weights.checkpoint_files import is_whole
from .plain_data import pack_message_hub, to_plain_data, unpack_message_hub

NOTE = 'last_checkpoint'  # where MMEngine notes the path of the last checkpoint


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """MMEngine's hook, for runs that may be killed at any moment.

    A checkpoint and the note of which is the last are complete before an older one is removed. One
    that was validated is saved again with what the validation has changed (the best accuracy,
    schedules that follow it); if the kill came before that, the resumed run validates first. So it
    is in the state of the unbroken one. Checkpoints are plain data, which
    ``torch.load(weights_only=True)`` reads without MMEngine; what is none is left out, with a
    warning. The arguments are those of MMEngine's hook.
    """

    max_keep_ckpts: int
    kept: list[int] = []
    left_out: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # MMEngine passes on what it does not know, which fails when the first checkpoint is saved.
        for name in self.args.keys() - inspect.signature(Runner.save_checkpoint).parameters:
            raise InputError(
                f'default_hooks.checkpoint.{name}: CheckpointHook has no such argument'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Convert the checkpoint to plain data."""
        left_out: list[str] = []
        checkpoint['message_hub'] = pack_message_hub(checkpoint['message_hub'], left_out)
        plain = to_plain_data(checkpoint, left_out)
        checkpoint.clear()
        checkpoint.update(plain)
        if left_out != self.left_out:
            runner.logger.warning(f'not stored in checkpoints, as it is no plain data: {left_out}')
            self.left_out = left_out

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Convert the log's history back to MMEngine's objects, for resuming."""
        if isinstance(message_hub := checkpoint.get('message_hub'), dict):
            checkpoint['message_hub'] = unpack_message_hub(message_hub)

    def before_train(self, runner: Runner) -> None:
        """Refuse checkpoints inside epochs; validate what was resumed if it was not validated."""
        loop = runner.train_loop
        in_epochs = isinstance(loop, EpochBasedTrainLoop)
        if in_epochs and not self.by_epoch:
            raise InputError(
                'default_hooks.checkpoint.by_epoch=False: training resumes where an epoch ends: '
                'leave it out, and lower train_dataloader.sampler.epoch_size to save more often'
            )
        super().before_train(runner)
        self.kept = list(getattr(self, 'keep_ckpt_ids', ()))
        validated = runner.message_hub.runtime_info.get('validated_epoch', 0)
        if in_epochs and runner.val_loop is not None and validated < loop.epoch:
            loop._decide_current_val_interval()
            is_last = loop.epoch == loop.max_epochs
            if loop.epoch >= loop.val_begin and (loop.epoch % loop.val_interval == 0 or is_last):
                runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Save the best checkpoint, and the last one again."""
        runner.message_hub.update_info('validated_epoch', runner.epoch)
        super().after_val_epoch(runner, metrics)
        if self.by_epoch and self.kept and self.kept[-1] == runner.epoch:
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, runner.epoch, meta)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        if step not in self.kept:  # it is saved again after its validation
            self.kept = [*self.kept, step]
        # With the one to be removed, which a run that was killed removes when it is resumed.
        runner.message_hub.update_info('keep_ckpt_ids', list(self.kept))
        limit, self.max_keep_ckpts = self.max_keep_ckpts, 0  # MMEngine would remove before it saves
        super()._save_checkpoint_with_step(runner, step, meta)
        self.max_keep_ckpts = limit
        while 0 < limit < len(self.kept):
            first, *self.kept = self.kept
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(first))
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)


def latest_checkpoint(work_dir: str, logger: logging.Logger) -> str | None:
    """Find where a run that was stopped continues; None if it saved no checkpoint.

    That is at the checkpoint noted as the last one, which is looked for in the work dir itself
    first (it may be a copy), or, with a warning, at the whole one of the highest number. An
    InputError is raised if there are some and none is whole.
    """
    note = Path(work_dir, NOTE)
    noted = note.read_text(errors='replace').strip() if note.is_file() else ''
    if '://' in noted:
        return noted
    for path in (Path(work_dir, Path(noted).name), Path(noted)):
        if is_whole(path):
            return str(path)
    numbers = {path: checkpoint_number(path) for path in Path(work_dir).glob('*.pth')}
    found = sorted(filter(numbers.get, numbers), key=numbers.__getitem__, reverse=True)
    for path in filter(is_whole, found):
        logger.warning(f'{noted or note} is damaged or missing: resuming from {path}')
        return str(path)
    if not found and not note.exists():
        return None
    names = ', '.join(path.name for path in found) or noted or NOTE
    raise InputError(
        f'{work_dir}: nothing to resume from, damaged or missing: {names}: remove that and {NOTE} '
        'to begin anew, or name a checkpoint after --resume'
    )


def checkpoint_number(path: Path) -> int:
    """Number of the epoch or iteration after which a checkpoint was saved, by its name; or 0."""
    match = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name)
    return int(match[1]) if match else 0

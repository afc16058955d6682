"""Checkpoint hook for runs that may be killed at any moment."""

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

NOTE = 'last_checkpoint'  # MMEngine's file with the path of the last checkpoint


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook for runs that may be killed at any moment.

    A new checkpoint and the file that names it are complete before an older checkpoint is removed.
    After a validation, the checkpoint is saved again with the state that the validation changed
    (best accuracy, schedulers that depend on it). If the run is killed before that, the resumed run
    validates first and thus reaches the state of an uninterrupted run. Checkpoints are plain data,
    which ``torch.load(weights_only=True)`` reads without MMEngine; other values are left out with a
    warning. Arguments are those of MMEngine's hook.
    """

    # By these parts of a metric's name, MMEngine infers the rule of save_best.
    _default_greater_keys = [
        *CheckpointHook._default_greater_keys,
        *('clip@', 'video@', 'AP/', 'AUROC', 'F1', 'kappa', 'R2'),
    ]
    _default_less_keys = [*CheckpointHook._default_less_keys, 'MAE', 'RMSE']
    max_keep_ckpts: int
    kept: list[int] = []
    left_out: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # MMEngine passes unknown arguments on, so saving the first checkpoint would fail.
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
            runner.logger.warning(f'not stored in checkpoints (not plain data): {left_out}')
            self.left_out = left_out

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Convert the log history back to MMEngine's objects, for resuming."""
        if isinstance(message_hub := checkpoint.get('message_hub'), dict):
            checkpoint['message_hub'] = unpack_message_hub(message_hub)

    def before_train(self, runner: Runner) -> None:
        """Reject checkpoints within epochs; validate a resumed checkpoint if still needed."""
        loop = runner.train_loop
        in_epochs = isinstance(loop, EpochBasedTrainLoop)
        if in_epochs and not self.by_epoch:
            raise InputError(
                'default_hooks.checkpoint.by_epoch=False: training resumes only between epochs: '
                'leave it out, and lower train_dataloader.sampler.epoch_size to save more often'
            )
        super().before_train(runner)
        self.stay_in_folder()
        if runner.val_loop is not None:
            self.check_save_best(getattr(runner.val_loop, 'evaluator', None))
        self.kept = list(getattr(self, 'keep_ckpt_ids', ()))
        validated = runner.message_hub.runtime_info.get('validated_epoch', 0)
        if in_epochs and runner.val_loop is not None and validated < loop.epoch:
            loop._decide_current_val_interval()
            is_last = loop.epoch == loop.max_epochs
            if loop.epoch >= loop.val_begin and (loop.epoch % loop.val_interval == 0 or is_last):
                runner.val_loop.run()

    def stay_in_folder(self) -> None:
        """Look for the best checkpoints in this run's folder, not in that of which it is a copy."""
        if path := getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = self.file_backend.join_path(self.out_dir, Path(path).name)
        paths = getattr(self, 'best_ckpt_path_dict', {})
        for key in [key for key in paths if paths[key]]:
            paths[key] = self.file_backend.join_path(self.out_dir, Path(paths[key]).name)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Save the best checkpoint, and save the last checkpoint again."""
        self.check_measured(metrics)
        runner.message_hub.update_info('validated_epoch', runner.epoch)
        super().after_val_epoch(runner, metrics)
        if self.by_epoch and self.kept and self.kept[-1] == runner.epoch:
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, runner.epoch, meta)

    def best_keys(self) -> list[str]:
        """Return the names of the metrics that select the best checkpoint."""
        return [key for key in getattr(self, 'key_indicators', None) or () if key != 'auto']

    def check_save_best(self, evaluator: Any) -> None:
        """Raise an InputError if the prefixes of all metrics differ from that of save_best."""
        prefixes = [getattr(metric, 'prefix', None) for metric in getattr(evaluator, 'metrics', ())]
        for key in self.best_keys():
            if prefixes and not any(not p or key.startswith(f'{p}/') for p in prefixes):
                names = ', '.join(f'{prefix}/...' for prefix in prefixes)
                raise self.unknown_best(key, names)

    def check_measured(self, metrics: dict[str, Any]) -> None:
        """Raise an InputError if a validation did not measure save_best."""
        for key in self.best_keys() if metrics else ():
            if key not in metrics:
                raise self.unknown_best(key, ', '.join(metrics))

    def unknown_best(self, key: str, names: str) -> InputError:
        """Say that the evaluator has no such metric."""
        return InputError(
            f'default_hooks.checkpoint.save_best={key!r}: val_evaluator measures {names}: name one '
            "of these (and its rule), or 'auto'"
        )

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        if step not in self.kept:  # a checkpoint is saved again after its validation
            self.kept = [*self.kept, step]
        # Includes the checkpoint to remove, so that a killed run removes it after resuming.
        runner.message_hub.update_info('keep_ckpt_ids', list(self.kept))
        limit, self.max_keep_ckpts = self.max_keep_ckpts, 0  # MMEngine removes before it saves
        super()._save_checkpoint_with_step(runner, step, meta)
        self.max_keep_ckpts = limit
        while 0 < limit < len(self.kept):
            first, *self.kept = self.kept
            path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(first))
            if is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)


def latest_checkpoint(work_dir: str, logger: logging.Logger) -> str | None:
    """Find the checkpoint from which to resume an interrupted run; None if there is none.

    This is the checkpoint named in ``last_checkpoint``; the work dir is searched first, because it
    may be a copy. If that checkpoint is damaged or missing, the undamaged checkpoint with the
    highest number is used, with a warning. Raises an InputError if all checkpoints are damaged.
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
        'to start over, or name a checkpoint after --resume'
    )


def checkpoint_number(path: Path) -> int:
    """Parse the number of the epoch or iteration from a checkpoint's name; 0 if there is none."""
    match = re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name)
    return int(match[1]) if match else 0

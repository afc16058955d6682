"""Early stopping that a resumed run continues."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner

from .._registries import HOOKS

STATE = 'early_stopping'


@HOOKS.register_module()
class ResumableEarlyStoppingHook(EarlyStoppingHook):
    """MMEngine's EarlyStoppingHook, whose best value and count are in the checkpoints.

    A resumed run thus continues to count, and ends at once if it had ended early. Needs
    :class:`ResumableCheckpointHook`, which saves the state after a validation. Arguments are those
    of MMEngine's hook.
    """

    priority = 'LOW'  # before the checkpoint is saved

    def before_train(self, runner: Runner) -> None:
        """Restore the state of the checkpoint."""
        if state := runner.message_hub.runtime_info.get(STATE):
            self.best_score, self.wait_count = state['best_score'], state['wait_count']
            if self.wait_count >= self.patience:
                runner.train_loop.stop_training = True
                runner.logger.warning(
                    f'training had ended early, as {self.monitor} did not improve in '
                    f'{self.wait_count} validations: raise patience to go on'
                )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
        """Decide whether to stop the training, and keep the state."""
        super().after_val_epoch(runner, metrics)
        state = dict(best_score=float(self.best_score), wait_count=self.wait_count)
        runner.message_hub.update_info(STATE, state)

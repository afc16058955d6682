"""Hook that estimates the training time on a CPU."""

from __future__ import annotations

import time
from copy import deepcopy
from datetime import timedelta
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

from .._registries import HOOKS


@HOOKS.register_module()
class TrainingTimeHook(Hook):
    """Log how long training will take on a CPU, before it starts.

    The hook measures the loading time of the first batch, which occurs in each epoch, and the
    second of two training steps of a copy of the model. A validation is estimated as a third of the
    training time for its videos, because it has no backward pass.
    """

    def before_train(self, runner: Runner) -> None:
        """Measure and log."""
        if next(runner.model.parameters()).device.type != 'cpu':
            return
        runner.logger.info('Measuring two training steps, to estimate the training time')
        loader = runner.train_dataloader
        begin = time.perf_counter()
        batch = next(iter(loader))
        start = time.perf_counter() - begin
        model = deepcopy(getattr(runner.model, 'module', runner.model)).train()
        seconds = [step_seconds(model, batch) for _ in range(2)][1]
        epochs = runner.max_epochs - runner.epoch
        videos = len(runner.val_dataloader.dataset) if runner.val_loop is not None else 0
        steps = len(loader) + videos / loader.batch_size / 3
        left = timedelta(seconds=round(epochs * (start + steps * seconds)))
        runner.logger.info(
            f'Training will take about {left} (h:mm:ss) on this CPU: {epochs} epochs of '
            f'{len(loader)} steps, {seconds:.2f} s each.'
        )


def step_seconds(model: BaseModel, batch: dict[str, Any]) -> float:
    """Measure the seconds of a forward and backward pass."""
    begin = time.perf_counter()
    data = model.data_preprocessor(deepcopy(batch), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    return time.perf_counter() - begin

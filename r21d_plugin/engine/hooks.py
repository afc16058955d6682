"""Hooks of the default runtime: seeds, training accuracy, acceleration, weights and losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.dataset import worker_init_fn
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import BaseOptimWrapper
from mmengine.runner import Runner, find_latest_checkpoint, set_random_seed

from .._errors import InputError
from .._registries import HOOKS
from ..models import VideoResNet
from ..models.accelerate import accelerate
from ..weights import classes_of, find_state_dict, match_weights


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed every training epoch from the run's seed and the epoch number.

    MMEngine seeds only once: a resumed run would repeat the random crops of the first epochs, and
    new workers would repeat those of every epoch. Workers get their seeds from PyTorch, which draws
    one for each pass over the data. Requires ``persistent_workers=False``.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process and the workers that it will start."""
        loader = runner.train_dataloader
        if loader.persistent_workers:
            raise InputError(
                'train_dataloader.persistent_workers=True keeps the seeds of the first epoch: '
                'set it to False, or default_hooks.epoch_seed to None'
            )
        given = loader.worker_init_fn
        if getattr(given, 'func', given) not in (None, worker_init_fn):  # MMEngine's is a partial
            raise InputError(
                'train_dataloader.worker_init_fn: EpochSeedHook replaces it: remove it, or set '
                'default_hooks.epoch_seed to None'
            )
        seed = int(np.random.SeedSequence([runner.seed, runner.epoch]).generate_state(1)[0]) >> 1
        set_random_seed(seed, diff_rank_seed=True)
        loader.worker_init_fn = None


@HOOKS.register_module()
class TrainingAccuracyHook(Hook):
    """Log the training accuracy of every finished epoch, ``train/clip@1``.

    The value is the mean over all batches of all processes; MMEngine logs ``top1_acc`` of only one
    batch in twenty. Nothing is logged for a head without ``top1_acc``.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the average over the epoch."""
        if (history := runner.message_hub.log_scalars.get('train/top1_acc')) is None:
            return
        accuracy = torch.tensor(history.mean(len(runner.train_dataloader)))
        all_reduce(accuracy, op='mean')
        scalars = {'train/clip@1': accuracy.item()}
        runner.visualizer.add_scalars(scalars, runner.epoch + 1, f'{runner.timestamp}.json')


@HOOKS.register_module()
class CheckpointMatchHook(Hook):
    """Accept weights of any public format, and reject weights of another network.

    MMEngine only logs mismatches. Finetuning (``load_from`` in training) may replace the
    classifier. The log reports which tensors were loaded.
    """

    priority = 'VERY_HIGH'  # before EMAHook, which needs converted names

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Convert tensor names to the model's; raise an InputError if the weights do not fit."""
        source = runner.cfg.get('load_from') or find_latest_checkpoint(runner.work_dir)
        training = isinstance(runner.optim_wrapper, BaseOptimWrapper)
        finetuning = training and not runner.cfg.get('resume')
        model = getattr(runner.model, 'module', runner.model)
        model.int8 = None if finetuning else checkpoint.get('int8')
        model.dataset_meta = dict(classes=() if finetuning else classes_of(checkpoint, str(source)))
        if not any(isinstance(module, VideoResNet) for module in model.modules()):
            return
        given = find_state_dict(checkpoint, str(source))
        checkpoint['state_dict'], report = match_weights(
            model, given, str(source), 'any' if finetuning else 'required'
        )
        runner.logger.info(report)


@HOOKS.register_module()
class AccelerateHook(Hook):
    """Accelerate the networks of this package in a run (:func:`r21d_plugin.accelerate`)."""

    def before_train(self, runner: Runner) -> None:
        """Accelerate the networks; before_run is too early for initialisers by class name."""
        for network in [m for m in runner.model.modules() if isinstance(m, VideoResNet)]:
            accelerate(network)

    before_val = before_test = before_train


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """End training if the loss is not finite.

    Args:
        interval (int): Check every n-th iteration and the last iteration of an epoch. Defaults to
            20, because each check synchronises with the GPU.
    """

    def __init__(self, interval: int = 20) -> None:
        self.interval = interval

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Raise an InputError if the loss is not finite."""
        is_last = batch_idx + 1 == len(runner.train_dataloader)
        if not is_last and not self.every_n_train_iters(runner, self.interval):
            return
        if not torch.isfinite(torch.as_tensor(outputs['loss'])).all():
            raise InputError(
                f'the loss is {outputs["loss"]:.3g} at iteration {runner.iter + 1}: training has '
                'diverged: lower optim_wrapper.optimizer.lr, or clip gradients '
                '(optim_wrapper.clip_grad.max_norm)'
            )

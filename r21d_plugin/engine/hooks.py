"""Hooks of the default runtime: seeds, training accuracy, acceleration, and checks of the input."""

from collections import OrderedDict
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from mmengine.dataset import worker_init_fn
from mmengine.dist import all_reduce, get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import BaseOptimWrapper
from mmengine.runner import Runner, find_latest_checkpoint, set_random_seed
from torch import nn
from torch.utils.data import DataLoader

from .._errors import InputError
from .._registries import HOOKS
from ..models.accelerate import accelerate
from ..weights import match_weights


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed every training epoch from the run's seed and the epoch's number.

    MMEngine seeds once: a resumed run would repeat the random crops and clip starts of the first
    epochs, and workers would draw the same ones in every epoch. It needs workers that are started
    anew for each epoch (``persistent_workers=False``).
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process and the workers to come."""
        sequence = np.random.SeedSequence([runner.seed, runner.epoch])
        seed = int(sequence.generate_state(1)[0]) >> 1
        set_random_seed(seed, diff_rank_seed=True)
        loader: DataLoader = runner.train_loop.dataloader
        if loader.persistent_workers:
            raise InputError(
                'train_dataloader.persistent_workers=True keeps the seeds of the first epoch: '
                'set it to False or remove EpochSeedHook from custom_hooks'
            )
        loader.worker_init_fn = partial(
            worker_init_fn, num_workers=loader.num_workers, rank=get_rank(), seed=seed
        )


@HOOKS.register_module()
class TrainingAccuracyHook(Hook):
    """Log the training accuracy of every finished epoch, ``train/clip@1``.

    It is the mean over all batches of all processes, where MMEngine's own log has ``top1_acc`` of
    one batch in twenty. Nothing is logged for a head without ``top1_acc``.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        """Average over the epoch."""
        if (history := runner.message_hub.log_scalars.get('train/top1_acc')) is None:
            return
        accuracy = torch.tensor(history.mean(len(runner.train_dataloader)))
        all_reduce(accuracy, op='mean')
        runner.visualizer.add_scalars(
            {'train/clip@1': accuracy.item()},
            step=runner.epoch + 1,
            file_path=f'{runner.timestamp}.json',
        )


@HOOKS.register_module()
class CheckpointMatchHook(Hook):
    """Accept weights of any public format, and refuse those of another network.

    MMEngine only logs what does not match. Finetuning (``load_from`` in training) may change the
    classifier. What is loaded of published weights, or for finetuning, is logged.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Name the tensors as the model does, and compare them with it.

        Raises:
            InputError: If they differ.
        """
        model = unwrap(runner.model)
        source = runner._load_from or find_latest_checkpoint(runner.work_dir)
        training = isinstance(runner.optim_wrapper, BaseOptimWrapper)
        finetuning = training and not runner._resume
        held = checkpoint.get('state_dict', checkpoint)
        given = OrderedDict((k.removeprefix('module.'), v) for k, v in held.items())
        given._metadata = getattr(held, '_metadata', {})  # type: ignore[attr-defined]
        ignore = 'cls_head.' if finetuning else ()
        state_dict, report = match_weights(model, given, source, ignore)
        if state_dict is not given:
            if 'state_dict' not in checkpoint:
                checkpoint.clear()
            checkpoint['state_dict'] = state_dict
        if finetuning or state_dict is not given:
            runner.logger.info(report)


@HOOKS.register_module()
class AccelerateHook(Hook):
    """Accelerate the network of a run (:func:`r21d_plugin.accelerate`)."""

    def before_run(self, runner: Runner) -> None:
        """Accelerate it before it trains, validates or is tested."""
        accelerate(unwrap(runner.model))


@HOOKS.register_module()
class ClassCountHook(Hook):
    """Refuse a dataset with more classes than the head scores."""

    def _before_epoch(self, runner: Runner, mode: str = 'train') -> None:
        loader: Any = getattr(runner, f'{mode}_dataloader')
        dataset_classes = getattr(loader.dataset, 'num_classes', None)
        head_classes = getattr(getattr(unwrap(runner.model), 'cls_head', None), 'num_classes', None)
        if dataset_classes and head_classes and dataset_classes > head_classes:
            raise InputError(
                f'{loader.dataset.ann_file} has {dataset_classes} classes and the head '
                f'{head_classes}: make model.cls_head.num_classes and the dataset agree'
            )


def unwrap(model: nn.Module) -> nn.Module:
    """Remove the wrapper of distributed training, if there is one."""
    return cast(nn.Module, model.module) if is_model_wrapper(model) else model

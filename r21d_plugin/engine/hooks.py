"""Hooks of the default runtime: seeds, training accuracy, and checks of what the user gave."""

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
from ..weights import check_match, convert_state_dict, format_loaded, set_eps


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed every training epoch from the run's seed and the epoch's number.

    MMEngine seeds once: a resumed run would repeat the random crops and clip
    starts of the first epochs instead of going on with those of the unbroken
    run, and workers would draw the same ones in every epoch. It needs workers
    that are started anew for each epoch (``persistent_workers=False``).
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
    """Log the training accuracy of every finished epoch.

    It is the mean over all batches of all processes, where MMEngine's own log
    has ``top1_acc`` of one batch in twenty. The name is ``train/clip@1``, as
    training sees single clips, and the step is the epoch, as that of the
    validation's metrics. Nothing is logged for a head without ``top1_acc``, such
    as that of two streams with a loss each.
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
    """Take weights of any public form, and refuse those of another network.

    MMEngine only logs what does not match. Finetuning (``load_from`` in
    training) may change the classifier; what is loaded then and what is not is
    logged, as it is of weights that others have published.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Name the tensors as the model does, and compare them with it.

        Raises:
            InputError: If they differ.
        """
        model = unwrapped(runner.model)
        source = runner._load_from or find_latest_checkpoint(runner.work_dir)
        training = isinstance(runner.optim_wrapper, BaseOptimWrapper)
        finetuning = training and not runner._resume
        held = checkpoint.get('state_dict', checkpoint)
        given = OrderedDict((k.removeprefix('module.'), v) for k, v in held.items())
        given._metadata = getattr(held, '_metadata', {})  # type: ignore[attr-defined]
        state_dict, weights = convert_state_dict(given, model, source)
        check_match(model, state_dict, source, ignore='cls_head.' if finetuning else None)
        eps = set_eps(model, state_dict, weights)
        if weights:
            if 'state_dict' not in checkpoint:
                checkpoint.clear()
            checkpoint['state_dict'] = state_dict
        if finetuning or weights:
            form = weights.format if weights else ''
            runner.logger.info(format_loaded(model, state_dict, source, form) + eps)


@HOOKS.register_module()
class AccelerateHook(Hook):
    """Have the network of a run compute faster, see :func:`r21d_plugin.accelerate`.

    ``default_hooks.accelerate=None`` leaves it out.
    """

    def before_run(self, runner: Runner) -> None:
        """Accelerate the model, before it trains, validates or is tested."""
        accelerate(unwrapped(runner.model))


@HOOKS.register_module()
class ClassCountHook(Hook):
    """Refuse a dataset with more classes than the head scores."""

    def before_train(self, runner: Runner) -> None:
        """Check the training set."""
        self._check(runner, runner.train_dataloader)

    def before_val(self, runner: Runner) -> None:
        """Check the validation set."""
        self._check(runner, runner.val_dataloader)

    def before_test(self, runner: Runner) -> None:
        """Check the test set."""
        self._check(runner, runner.test_dataloader)

    def _check(self, runner: Runner, loader: DataLoader) -> None:
        head = getattr(unwrapped(runner.model), 'cls_head', None)
        dataset: Any = loader.dataset
        dataset_classes = getattr(dataset, 'num_classes', None)
        head_classes = getattr(head, 'num_classes', None)
        if dataset_classes and head_classes and dataset_classes > head_classes:
            raise InputError(
                f'{dataset.ann_file} has {dataset_classes} classes and the head '
                f'{head_classes}: make model.cls_head.num_classes and the dataset agree'
            )


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, out of what distributed training wraps around it."""
    return cast(nn.Module, model.module) if is_model_wrapper(model) else model

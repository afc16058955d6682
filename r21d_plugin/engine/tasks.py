"""Hook that checks that dataset, head and metrics fit together."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .._errors import InputError
from .._registries import HOOKS
from ..datasets import inner_datasets
from ..models.heads import ClipHead
from ..models.tasks import NUMBERS, check_head, head_and_loss, targets_of, task_of


@HOOKS.register_module()
class TaskHook(Hook):
    """Check that dataset, head and metrics have the same task; provide class names in a test.

    The head's loss determines the task (:mod:`~r21d_plugin.models.tasks`). A regression head gets
    the mean and deviation of the training list, unless its config or checkpoint has them. Metrics
    and the visualizer get the checkpoint's class names as ``dataset_meta``. The log warns if the
    dataset's class names differ.
    """

    def before_train(self, runner: Runner) -> None:
        """Check the training and the validation; set the target scale for regression."""
        check_task(runner, 'train')
        if runner.val_loop is not None:
            check_task(runner, 'val')
        head = head_of(runner)
        if isinstance(head, ClipHead) and head.task is NUMBERS and head.to_measure:
            datasets = inner_datasets(runner.train_dataloader.dataset)
            numbers = [d.get_data_info(i)['label'] for d in datasets for i in range(len(d))]
            head.measure_targets(torch.stack(numbers))

    def before_val(self, runner: Runner) -> None:
        """Check the validation."""
        check_task(runner, 'val')

    def before_test(self, runner: Runner) -> None:
        """Check the test, and set the class names of the checkpoint."""
        check_task(runner, 'test')
        model = getattr(runner.model, 'module', runner.model)
        names = getattr(model, 'dataset_meta', {}).get('classes', ())
        meta = runner.visualizer.dataset_meta or {}
        if not names or len(names) != getattr(head_of(runner), 'num_classes', 0):
            return
        pairs = enumerate(zip(names, meta.get('classes', ())))
        for number, (name, other) in [found for found in pairs if len(set(found[1])) > 1][:1]:
            runner.logger.warning(
                f'class {number} is {name!r} in the checkpoint and {other!r} in the dataset: if '
                'these are two classes, the accuracy is meaningless'
            )
        runner.visualizer.dataset_meta = meta = dict(meta, classes=names)
        if evaluator := getattr(runner.test_loop, 'evaluator', None):
            evaluator.dataset_meta = meta


def head_of(runner: Runner) -> Any:
    """Return the head of a run's model; None if there is none."""
    return getattr(getattr(runner.model, 'module', runner.model), 'cls_head', None)


def check_task(runner: Runner, mode: str) -> None:
    """Raise an InputError if the dataset, the head or a metric does not fit the others."""
    if (head := head_of(runner)) is None:
        return
    datasets = inner_datasets(getattr(runner, f'{mode}_dataloader').dataset)
    classes = max(getattr(dataset, 'num_classes', None) or 0 for dataset in datasets)
    scored = getattr(head, 'num_classes', None)  # MMAction2's FeatureHead has None
    if scored is not None and classes not in (0, scored):
        raise InputError(
            f'{mode}_dataloader.dataset.num_classes={classes} and '
            f'model.cls_head.num_classes={scored}: make them agree'
        )
    check_head(head)
    for dataset in datasets:
        check_targets(mode, dataset, head)
    loop = getattr(runner, f'{mode}_loop')
    for metric in getattr(getattr(loop, 'evaluator', None), 'metrics', ()):
        check_metric(mode, metric, head)


def check_targets(mode: str, dataset: Any, head: Any) -> None:
    """Raise an InputError if a head's loss does not support the targets of a dataset."""
    task, given = task_of(head), targets_of(dataset)
    if given not in task.targets:
        wanted = ' or '.join(f"targets='{name}'" for name in task.targets)
        raise InputError(
            f"{mode}_dataloader.dataset ({type(dataset).__name__}, targets='{given}') does not fit "
            f'{head_and_loss(head)}: use {wanted} in the dataset, or another loss_cls'
        )


def check_metric(mode: str, metric: Any, head: Any) -> None:
    """Raise an InputError if a metric of this package does not support a head's task."""
    task, tasks = task_of(head), getattr(metric, 'tasks', None)
    if tasks and task.name not in tasks:
        raise InputError(
            f'{mode}_evaluator ({type(metric).__name__}) is for {" or ".join(tasks)}, and '
            f"{head_and_loss(head)}: use type='r21d_plugin.{task.metric}'"
        )

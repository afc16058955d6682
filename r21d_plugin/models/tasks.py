"""What the numbers of a head mean: a class, several labels, ordered classes or measured numbers.

The loss of a head decides: it is what the numbers were trained for.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import torch
from mmaction.models import BCELossWithLogits
from torch import Tensor, nn

from .._errors import InputError
from .losses import OrdinalLoss, RegressionLoss, ordinal_log_scores


class Task(NamedTuple):
    """A task.

    Attributes:
        name (str): Its name.
        targets (tuple[str, ...]): What a dataset may give for it, see :func:`targets_of`.
        scores (Callable): From logits (N x outputs) to scores (N x classes).
        content (str): What the scores are.
        metric (str): The metric of this package for it.
        best (str): The value of the metric that tells which checkpoint is the best.
        rule (str): Whether the best one is ``'greater'`` or ``'less'``.
        loss (str): The loss that a config of finetuning takes.
    """

    name: str
    targets: tuple[str, ...]
    scores: Callable[[Tensor], Tensor]
    content: str
    metric: str
    best: str
    rule: str
    loss: str


CLASS = Task(
    'one class',
    ('class', 'labels'),  # several labels are equal parts of the target
    lambda logits: logits.softmax(-1),
    'softmax',
    'ClipVideoAccuracy',
    'video@1',
    'greater',
    'CrossEntropyLoss',
)
LABELS = Task(
    'several labels',
    ('labels',),
    torch.sigmoid,
    'sigmoid',
    'MultiLabelMetric',
    'mAP',
    'greater',
    'BCELossWithLogits',
)
ORDERED = Task(
    'ordered classes',
    ('class',),
    lambda logits: ordinal_log_scores(logits).exp(),
    'probabilities of ordered classes',
    'OrdinalMetric',
    'kappa',
    'greater',
    'r21d_plugin.OrdinalLoss',
)
NUMBERS = Task(
    'numbers',
    ('numbers',),
    nn.Identity(),
    'numbers',
    'RegressionMetric',
    'MAE',
    'less',
    'r21d_plugin.RegressionLoss',
)
TASKS = {task.name: task for task in (CLASS, LABELS, ORDERED, NUMBERS)}

BY_LOSS: dict[type, Task] = {
    BCELossWithLogits: LABELS,
    OrdinalLoss: ORDERED,
    RegressionLoss: NUMBERS,
}


def task_of(head: Any) -> Task:
    """Task of a head, whosever it is, by its loss; by default one class."""
    loss = getattr(head, 'loss_cls', None)
    return next((task for kind, task in BY_LOSS.items() if isinstance(loss, kind)), CLASS)


def check_head(head: Any) -> None:
    """Raise an InputError if a head was trained for a task that it does not test."""
    task = task_of(head)
    if task is not CLASS and not hasattr(head, 'task'):
        raise InputError(
            f'{head_and_loss(head)} and tests by a softmax: use '
            "model.cls_head.type='r21d_plugin.ClipHead'"
        )


def check_classes(head: Any) -> None:
    """Raise an InputError if a head is not for one class a video, as accuracy is."""
    if task_of(head) is not CLASS:
        raise InputError(f'{head_and_loss(head)}: int8 is for one class, by its accuracy')


def head_and_loss(head: Any) -> str:
    """Name a head, its loss and its task."""
    names = f'{type(head).__name__}, loss_cls {type(head.loss_cls).__name__}'
    return f'model.cls_head ({names}) is for {task_of(head).name}'


def targets_of(dataset: Any) -> str:
    """What a dataset gives of a video: ``'class'``, ``'labels'`` or ``'numbers'``."""
    several = 'labels' if getattr(dataset, 'multi_class', False) else 'class'
    return getattr(dataset, 'targets', several)

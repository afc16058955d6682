"""Tasks of a head: one class, several labels, ordered classes, or regression of numbers.

The head's loss determines its task.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import torch
from mmaction.models import BCELossWithLogits
from torch import Tensor, nn

from .._errors import InputError
from .losses import OrdinalLoss, RegressionLoss, ordinal_log_scores


class Task(NamedTuple):
    """A task."""

    name: str
    targets: tuple[str, ...]  # accepted kinds of targets (see targets_of), its own first
    scores: Callable[[Tensor], Tensor]  # converts logits, N x outputs, to scores, N x classes
    content: str  # description of the scores
    metric: str  # this package's metric for the task
    best: str  # the metric's value that selects the best checkpoint
    rule: str  # 'greater' or 'less': which value is better
    loss: str  # in a finetuning config


CLASS = Task(
    'one class',
    ('class', 'labels'),  # several labels share the target equally
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
    """Return the task of any package's head, by its loss; one class by default."""
    loss = getattr(head, 'loss_cls', None)
    return next((task for kind, task in BY_LOSS.items() if isinstance(loss, kind)), CLASS)


def check_head(head: Any) -> None:
    """Raise an InputError if a head cannot test the task that its loss trains."""
    task = task_of(head)
    if task is not CLASS and not hasattr(head, 'task'):
        raise InputError(
            f'{head_and_loss(head)} and tests by a softmax: use '
            "model.cls_head.type='r21d_plugin.ClipHead'"
        )


def check_classes(head: Any, use: str = 'int8') -> None:
    """Raise an InputError if a head's task is not one class per video, as accuracy needs."""
    if task_of(head) is not CLASS:
        raise InputError(
            f'{head_and_loss(head)}: {use} needs a head for one class, whose accuracy it measures'
        )


def head_and_loss(head: Any) -> str:
    """Describe a head, its loss and its task."""
    names = f'{type(head).__name__}, loss_cls {type(head.loss_cls).__name__}'
    return f'model.cls_head ({names}) is for {task_of(head).name}'


def targets_of(dataset: Any) -> str:
    """Return the kind of a dataset's targets: ``'class'``, ``'labels'`` or ``'numbers'``."""
    several = 'labels' if getattr(dataset, 'multi_class', False) else 'class'
    return getattr(dataset, 'targets', several)

"""Losses of ordered classes and of numbers; MMAction2 has those of classes and of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmaction.models.losses.base import BaseWeightedLoss
from torch import Tensor

from .._errors import InputError
from .._registries import MODELS

DISTANCES: Any = dict(mse=F.mse_loss, l1=F.l1_loss, huber=F.huber_loss)


@MODELS.register_module()
class RegressionLoss(BaseWeightedLoss):
    """Mean distance of numbers from their targets, both in standard deviations of the targets.

    Args:
        distance (str): ``'mse'``, ``'l1'`` or ``'huber'``, which is quadratic up to 1. Defaults to
            ``'mse'``.
        loss_weight (float): Factor of the loss. Defaults to 1.

    Raises:
        InputError: If there is no such distance.
    """

    def __init__(self, distance: str = 'mse', loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight)
        if distance not in DISTANCES:
            raise InputError(f'loss_cls.distance={distance!r}: use {", ".join(DISTANCES)}')
        self.distance = DISTANCES[distance]

    def _forward(self, values: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.distance(values, targets)
        return loss


@MODELS.register_module()
class OrdinalLoss(BaseWeightedLoss):
    """Cross entropy of ordered classes, such as grades (:func:`ordinal_log_scores`).

    Args:
        loss_weight (float): Factor of the loss. Defaults to 1.
        class_weight (Sequence[float], optional): Weight of each class. Defaults to None: 1 for all.
    """

    def __init__(
        self, loss_weight: float = 1.0, class_weight: Sequence[float] | None = None
    ) -> None:
        super().__init__(loss_weight)
        self.class_weight = None if class_weight is None else torch.tensor(class_weight)

    def _forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        weight: Any = self.class_weight
        weight = None if weight is None else weight.to(logits)
        return F.nll_loss(ordinal_log_scores(logits), labels, weight)


def ordinal_log_scores(logits: Tensor) -> Tensor:
    """Log-probabilities (N x classes) of ordered classes from N x (classes - 1) logits.

    Logit k is that of being above class k for what is not below it, as in CORN
    (https://arxiv.org/abs/2111.08851).
    """
    above, not_above = F.logsigmoid(logits), F.logsigmoid(-logits)
    none = logits.new_zeros(len(logits), 1)
    return torch.cat([none, above.cumsum(1)], 1) + torch.cat([not_above, none], 1)

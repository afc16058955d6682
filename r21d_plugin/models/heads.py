"""The classification and regression head of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models import I3DHead
from mmaction.utils import SampleList
from torch import Tensor, nn

from .._compat_torch import autocast_dtype
from .._errors import InputError, check_whole
from .._registries import MODELS
from .tasks import CLASS, LABELS, NUMBERS, ORDERED, Task, task_of


@MODELS.register_module()
class ClipHead(I3DHead):
    """MMAction2's I3DHead that also keeps the scores of each clip.

    ``average over (T, H, W) -> dropout -> fully connected``. The loss determines the meaning of the
    output (:mod:`~r21d_plugin.models.tasks`):

    =========================================  ==========================================
    ``loss_cls``                               scores of a clip
    =========================================  ==========================================
    ``CrossEntropyLoss`` and others            softmax; several labels of a video share its
                                               target equally, as for Sports-1M
    ``BCELossWithLogits``                      sigmoid of each label
    ``OrdinalLoss``                            probabilities of ordered classes
    ``RegressionLoss``                         ``num_classes`` numbers
    =========================================  ==========================================

    A tested video gets ``pred_score``, the mean of its clips' scores (Section 4.1), ``clip_scores``
    (clips x classes), which metrics read, and ``pred_label``, the best class or the labels with a
    score above 0.5. For regression, ``pred_label`` has no meaning and ``task`` is ``'numbers'``.

    Args:
        num_classes (int): Number of classes, or of regressed numbers.
        in_channels (int): Channels of the feature map. Defaults to 512.
        dropout_ratio (float): Probability of dropout. Defaults to 0, as in the paper.
        target_mean, target_std (float or Sequence[float], optional): For regression, the mean and
            standard deviation of the targets, which scale the loss. Checkpoints store them.
            Defaults to None: training computes them from its annotation file
            (:class:`~r21d_plugin.engine.TaskHook`).
        **kwargs: Further arguments of I3DHead.

    Raises:
        InputError: If a number is invalid, or an argument has no effect with this loss.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 512,
        dropout_ratio: float = 0.0,
        target_mean: float | Sequence[float] | None = None,
        target_std: float | Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        check_whole('model.cls_head.num_classes', num_classes)
        check_whole('model.cls_head.in_channels', in_channels)
        kwargs.setdefault('average_clips', 'prob')
        super().__init__(num_classes, in_channels, dropout_ratio=dropout_ratio, **kwargs)
        self.target_mean: Tensor
        self.target_std: Tensor
        if self.task is ORDERED:
            check_whole('model.cls_head.num_classes', num_classes, least=2)
            self.fc_cls = nn.Linear(in_channels, num_classes - 1)
        if self.task is NUMBERS:
            given = dict(target_mean=target_mean, target_std=target_std)
            for (name, value), default in zip(given.items(), (0.0, 1.0)):
                self.register_buffer(name, given_numbers(name, value, default, num_classes))
            self.to_measure = [name for name, value in given.items() if value is None]
        elif not (target_mean is None and target_std is None):
            self._refuse('target_mean and target_std')
        if self.task is not CLASS and self.label_smooth_eps:
            self._refuse('label_smooth_eps')
        check_smoothing(self)
        if self.task is not CLASS and self.average_clips != 'prob':
            self._refuse(f'average_clips={self.average_clips!r}')

    @property
    def task(self) -> Task:
        """The head's task; a property, because a copied head must refer to the same object."""
        return task_of(self)

    def _refuse(self, argument: str) -> None:
        loss = type(self.loss_cls).__name__
        raise InputError(f'model.cls_head.{argument}: not with {loss}: remove it')

    def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
        """Classify feature maps of any dtype, N x C x T x H x W, in float32."""
        if autocast_dtype(x.device.type) is None:
            return super().forward(x, **kwargs)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float(), **kwargs)

    def measure_targets(self, targets: Tensor) -> None:
        """Compute the mean and deviation, if neither config nor checkpoint gave them.

        ``targets`` are N x numbers.
        """
        found = dict(target_mean=targets.mean(0), target_std=targets.std(0, unbiased=False))
        for name in self.to_measure:
            if name == 'target_std' and not found[name].all():
                raise InputError('train_dataloader: a number is the same for all videos: remove it')
            self.get_buffer(name).copy_(found[name])
        self.to_measure = []

    def scores(self, logits: Tensor) -> Tensor:
        """Convert the output for N clips to scores of classes, or to numbers, N x classes."""
        if self.task is NUMBERS:
            return self.target_mean + self.target_std * logits
        return self.task.scores(logits)

    def loss_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Return the loss of a batch of videos, and the accuracy if each has one class."""
        if self.task is CLASS:
            return super().loss_by_feat(cls_scores, with_equal_parts(data_samples))
        targets = torch.stack([sample.gt_label for sample in data_samples]).to(cls_scores.device)
        if self.task is NUMBERS:
            targets = (targets - self.target_mean) / self.target_std
        elif self.task is ORDERED:
            targets = targets.flatten()
        return dict(loss_cls=self.loss_cls(cls_scores, targets))

    def average_clip(self, cls_scores: Tensor, num_segs: int = 1) -> Tensor:
        """Average the scores of each video's clips by ``average_clips``: videos x classes."""
        if self.average_clips == 'prob':
            scores: Tensor = self.scores(cls_scores).unflatten(0, (-1, num_segs))
            return scores.mean(1)
        return super().average_clip(cls_scores, num_segs)

    def predict_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> SampleList:
        """Convert the output for (videos * clips) to scores in one data sample per video."""
        data_samples = super().predict_by_feat(cls_scores, data_samples)
        scores = self.scores(cls_scores).unflatten(0, (len(data_samples), -1))
        for data_sample, clip_scores in zip(data_samples, scores):
            data_sample.set_field(clip_scores, 'clip_scores')
            if self.task is LABELS:
                data_sample.set_pred_label((clip_scores.mean(0) > 0.5).nonzero().flatten())
            elif self.task is NUMBERS:
                data_sample.set_metainfo(dict(task=self.task.name))
        return data_samples

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self.task is NUMBERS and f'{prefix}fc_cls.weight' in state_dict:
            # Networks trained without scaled targets output the numbers directly.
            state_dict.setdefault(f'{prefix}target_mean', torch.zeros(self.num_classes))
            state_dict.setdefault(f'{prefix}target_std', torch.ones(self.num_classes))
            self.to_measure = []
        super()._load_from_state_dict(state_dict, prefix, *args)


def given_numbers(name: str, given: Any, default: float, count: int) -> Tensor:
    """Convert numbers of a config to a tensor with one value for each target."""
    numbers = torch.as_tensor(default if given is None else given, dtype=torch.float32)
    if numbers.numel() not in (1, count) or (name == 'target_std' and (numbers <= 0).any()):
        wanted = f'one number, or {count}' + (', above 0' if name == 'target_std' else '')
        raise InputError(f'model.cls_head.{name}={given!r}: give {wanted}')
    return numbers.flatten().expand(count).clone()


def check_smoothing(head: Any) -> None:
    """Raise an InputError if a head would learn the rarest class for the videos of all classes.

    MMAction2 weights each part of a smoothed target by the class that it is for.
    """
    eps, weights = head.label_smooth_eps, getattr(head.loss_cls, 'class_weight', None)
    if eps and weights is not None:
        part = eps / len(weights)
        if part * weights.max() >= (1 - eps + part) * weights.min():
            raise InputError(
                f'model.cls_head.label_smooth_eps={eps}: with this loss_cls.class_weight, all '
                'videos are trained to be of the rarest class: set it to 0'
            )


def with_equal_parts(data_samples: SampleList) -> SampleList:
    """Scale the targets of videos with several labels so that they sum to 1."""
    for sample in data_samples:
        if sample.gt_label.numel() > 1:
            sample.set_gt_label(sample.gt_label / sample.gt_label.sum().clamp(min=1e-6))
    return data_samples

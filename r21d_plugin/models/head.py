"""Classification of several clips of one video."""

from typing import Any

import torch
import torch.nn.functional as F
from mmaction.models import I3DHead
from mmaction.utils import SampleList
from torch import Tensor

from .._registries import MODELS


@MODELS.register_module()
class ClipHead(I3DHead):
    """MMAction2's I3DHead, keeping the scores of each clip too.

    ``average over (T, H, W) -> dropout -> fully connected``. A tested video gets ``pred_score``,
    the mean of its clips' softmax scores (Section 4.1), and ``clip_scores``, these scores (clips x
    classes), which :class:`~r21d_plugin.evaluation.ClipVideoAccuracy` reads.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of the feature map. Defaults to 512.
        dropout_ratio (float): Probability of dropout. Defaults to 0, as in the paper.
        **kwargs: Further arguments of I3DHead. ``average_clips`` defaults to ``'prob'``.
    """

    def __init__(
        self, num_classes: int, in_channels: int = 512, dropout_ratio: float = 0.0, **kwargs: Any
    ) -> None:
        kwargs.setdefault('average_clips', 'prob')
        super().__init__(num_classes, in_channels, dropout_ratio=dropout_ratio, **kwargs)

    def forward(self, x: Tensor, **kwargs: Any) -> Tensor:
        """Classify feature maps, N x C x T x H x W, in float32 whatever they are."""
        if not torch.is_autocast_enabled(x.device.type):
            return super().forward(x, **kwargs)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float(), **kwargs)

    def predict_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> SampleList:
        """Write scores into a sample per video, from logits (videos * clips) x classes."""
        data_samples = super().predict_by_feat(cls_scores, data_samples)
        clips = by_video(cls_scores, data_samples)
        for data_sample, clip_scores in zip(data_samples, clips, strict=True):
            data_sample.set_field(clip_scores, 'clip_scores')
        return data_samples


def by_video(cls_scores: Tensor, data_samples: SampleList) -> Tensor:
    """Softmax of logits, (videos * clips) x classes, as videos x clips x classes."""
    return F.softmax(cls_scores, dim=-1).unflatten(0, (len(data_samples), -1))

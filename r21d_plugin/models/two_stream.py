"""The two-stream network of RGB and optical flow (Section 4.2, https://arxiv.org/abs/1406.2199)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models.heads.base import BaseHead
from mmaction.models.recognizers.recognizer3d_mm import MMRecognizer3D
from mmaction.utils import SampleList
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from .._errors import InputError, check_whole
from .._registries import MODELS
from ..weights import STREAMS, fuse_checkpoints, load_matching
from .heads import ClipHead, check_smoothing, with_equal_parts
from .recognizer import MultiClipTesting
from .tasks import CLASS, task_of


@MODELS.register_module()
class TwoStreamBackbone(BaseModule):
    """Two backbones side by side, built from the configs ``rgb`` and ``flow``."""

    def __init__(
        self, rgb: dict[str, Any], flow: dict[str, Any], init_cfg: dict[str, Any] | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.rgb = MODELS.build(rgb)
        self.flow = MODELS.build(flow)

    def forward(self, imgs: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Compute both feature maps of normalised clips, N x 3 (2 for flow) x T x H x W."""
        return self.rgb(imgs), self.flow(flow)


@MODELS.register_module()
class TwoStreamHead(BaseHead):
    """A head with one classifier for each of two streams; their scores are averaged.

    A tested video gets the fused ``pred_score`` and ``clip_scores``, in the format of
    :class:`ClipHead`, and ``stream_scores``, the clip scores of each stream. Training minimises the
    sum of the streams' cross-entropies.

    Args:
        num_classes, in_channels, dropout_ratio: Arguments of each stream's :class:`ClipHead`.
        weights (Sequence[float], optional): Non-negative weights of the softmax scores of RGB and
            flow, of which only the ratio matters; the authors' script uses 0.6 and 0.4. Defaults to
            None: equal weights, as in the paper.
        **kwargs: Further arguments of MMAction2's BaseHead.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 512,
        weights: Sequence[float] | None = None,
        dropout_ratio: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_whole('model.cls_head.num_classes', num_classes)
        check_whole('model.cls_head.in_channels', in_channels)
        super().__init__(num_classes, in_channels, average_clips='prob', **kwargs)
        if task_of(self) is not CLASS:
            loss = type(self.loss_cls).__name__
            raise InputError(f'model.cls_head.loss_cls {loss}: two streams are for one class')
        check_smoothing(self)
        self.classifiers = ModuleDict(
            {stream: ClipHead(num_classes, in_channels, dropout_ratio) for stream in STREAMS}
        )
        shares = torch.tensor([1, 1] if weights is None else weights, dtype=torch.float32)
        if shares.shape != (2,) or not (shares >= 0).all() or not 0 < shares.sum() < torch.inf:
            raise InputError(
                f'weights={weights!r}: give one of RGB and one of flow, not negative, not both zero'
            )
        self.log_weights: Tensor
        self.register_buffer('log_weights', (shares / shares.sum()).log(), persistent=False)

    def forward(self, feats: tuple[Tensor, Tensor], **kwargs: Any) -> Tensor:
        """Classify feature maps, N x C x T x H x W: logits of each stream, N x 2 x classes."""
        heads = self.classifiers.values()
        return torch.stack([head(x) for head, x in zip(heads, feats)], dim=1)

    def fuse(self, cls_scores: Tensor) -> Tensor:
        """Fuse logits, N x 2 x classes; the softmax of the result is the streams' mean score."""
        return torch.logsumexp(cls_scores.log_softmax(-1) + self.log_weights[:, None], dim=1)

    def loss_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Return losses and accuracies of logits, N x 2 x classes, named ``rgb_loss_cls`` etc."""
        losses = {}
        with_equal_parts(data_samples)
        for stream, logits in zip(STREAMS, cls_scores.unbind(1)):
            for name, value in super().loss_by_feat(logits, data_samples).items():
                losses[f'{stream}_{name}'] = value
        return losses

    def predict_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> SampleList:
        """Convert logits, (videos * clips) x 2 x classes, to scores in one sample per video."""
        fused = self.fuse(cls_scores)
        data_samples = super().predict_by_feat(fused, data_samples)
        scores = torch.stack([fused, *cls_scores.unbind(1)]).softmax(-1)
        scores = scores.unflatten(1, (len(data_samples), -1))
        for data_sample, clip_scores, *streams in zip(data_samples, *scores):
            data_sample.set_field(clip_scores, 'clip_scores')
            data_sample.set_field(dict(zip(STREAMS, streams)), 'stream_scores')
        return data_samples


@MODELS.register_module()
class TwoStreamRecognizer(MultiClipTesting, MMRecognizer3D):
    """Recognizer of RGB and flow, whose inputs are a dict of ``imgs`` and ``flow``.

    Args:
        checkpoints (dict[str, str], optional): Checkpoints of the separately trained streams,
            ``rgb`` and ``flow``. Defaults to None: a single checkpoint of both streams, written by
            training this recognizer or by ``tools/fuse_checkpoints.py``, is loaded as usual.
        **kwargs: Arguments of MMAction2's recognizers.
    """

    def __init__(self, checkpoints: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checkpoints = checkpoints
        if checkpoints is None:
            return
        if set(checkpoints) != set(STREAMS):
            given = ', '.join(checkpoints)
            raise InputError(f'checkpoints has {given}: give one of rgb and one of flow')
        fused = fuse_checkpoints(**checkpoints)
        load_matching(self, fused['state_dict'], ' and '.join(checkpoints.values()))
        self.dataset_meta = fused['meta']['dataset_meta']

    def init_weights(self) -> None:
        """Initialise the weights, unless they come from the streams' checkpoints."""
        if self.checkpoints is None:
            super().init_weights()

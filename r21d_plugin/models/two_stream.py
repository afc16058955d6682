"""The two-stream network: RGB and optical flow (Section 4.2).

Two networks of the family, one for each stream, whose scores are averaged, as
in `Simonyan and Zisserman <https://arxiv.org/abs/1406.2199>`_.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models.heads.base import BaseHead
from mmaction.models.recognizers.recognizer3d_mm import MMRecognizer3D
from mmaction.utils import SampleList
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from .._errors import InputError
from .._registries import MODELS
from ..weights import STREAMS, fuse_checkpoints, load_matching
from .head import ClipHead, by_video
from .recognizer import MultiClipTesting


@MODELS.register_module()
class TwoStreamBackbone(BaseModule):
    """Two backbones side by side.

    Args:
        rgb (dict): Backbone of the RGB stream.
        flow (dict): Backbone of the flow stream, with ``in_channels=2``.
        init_cfg (dict, optional): Initialisation. Defaults to None: the
            backbones' own.
    """

    def __init__(self, rgb: dict, flow: dict, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.rgb = MODELS.build(rgb)
        self.flow = MODELS.build(flow)

    def forward(self, imgs: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Compute both feature maps.

        Args:
            imgs (Tensor): Normalised RGB clips, N x 3 x T x H x W.
            flow (Tensor): Normalised flow of the same clips, N x 2 x T x H x W.

        Returns:
            tuple[Tensor, Tensor]: N x C' x T' x H' x W' of RGB and of flow.
        """
        return self.rgb(imgs), self.flow(flow)


@MODELS.register_module()
class TwoStreamHead(BaseHead):
    """Classification by two streams, late fusion.

    A tested video gets fused ``pred_score`` and ``clip_scores``, as
    :class:`~r21d_plugin.models.ClipHead` gives them, and ``stream_scores``,
    the clip scores of each stream, where there are any.

    Args:
        num_classes (int): Classes.
        in_channels (int): Channels of each feature map. Defaults to 512.
        fusion (str): ``'average'``: the mean of the streams' softmax scores,
            as in the paper. ``'weighted'``: their mean with ``weights``.
            ``'concat'``: one fully connected layer on both features, averaged
            over (T, H, W), in place of one for each. Defaults to
            ``'average'``.
        weights (Sequence[float], optional): Weights of RGB and flow for
            ``'weighted'``, of which only the ratio matters; the authors'
            script has 0.6 and 0.4. Defaults to None.
        loss_on (str, optional): Cross-entropy of each stream's scores, added
            (``'streams'``), or of the fused ones (``'fused'``). Defaults to
            None: ``'streams'``, for ``'concat'`` ``'fused'``.
        dropout_ratio (float): Probability of dropout before the classifiers,
            of which the paper uses none. Defaults to 0.
        **kwargs: Further arguments of MMAction2's BaseHead.

    Raises:
        InputError: If these do not go together.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 512,
        fusion: str = 'average',
        weights: Sequence[float] | None = None,
        loss_on: str | None = None,
        dropout_ratio: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, average_clips='prob', **kwargs)
        self.streams = () if fusion == 'concat' else STREAMS
        self.loss_on = loss_on or ('streams' if self.streams else 'fused')
        self._check(fusion, weights)
        heads = dict.fromkeys(self.streams, in_channels) or {'both': 2 * in_channels}
        self.classifiers = ModuleDict(
            {name: ClipHead(num_classes, size, dropout_ratio) for name, size in heads.items()}
        )
        shares = torch.tensor(weights or [1.0] * len(heads))
        self.register_buffer('log_weights', (shares / shares.sum()).log(), persistent=False)

    def _check(self, fusion: str, weights: Sequence[float] | None) -> None:
        if fusion not in ('average', 'weighted', 'concat'):
            raise InputError(f"fusion={fusion!r}: use 'average', 'weighted' or 'concat'")
        if (fusion == 'weighted') != (weights is not None):
            raise InputError(
                f"fusion={fusion!r} with weights={weights!r}: 'weighted' needs them, the "
                'others take none'
            )
        if weights is not None and (len(weights) != 2 or min(weights) < 0 or sum(weights) <= 0):
            raise InputError(f'weights={weights!r}: give one of RGB and one of flow, not negative')
        if self.loss_on not in ('streams', 'fused'):
            raise InputError(f"loss_on={self.loss_on!r}: use 'streams' or 'fused'")
        if self.loss_on == 'streams' and not self.streams:
            raise InputError("fusion='concat' has one classifier: use loss_on='fused'")

    def forward(self, feats: tuple[Tensor, Tensor], **kwargs: Any) -> Tensor:
        """Classify.

        Args:
            feats (tuple[Tensor, Tensor]): Feature maps of RGB and flow, N x C
                x T x H x W.
            **kwargs: Not used.

        Returns:
            Tensor: Logits of each classifier, N x 2 x classes; N x 1 x classes
            for ``'concat'``.
        """
        inputs = feats if self.streams else (torch.cat(feats, dim=1),)
        heads = self.classifiers.values()
        return torch.stack([head(x) for head, x in zip(heads, inputs, strict=True)], dim=1)

    def fuse(self, cls_scores: Tensor) -> Tensor:
        """Logarithm of the fused scores.

        Args:
            cls_scores (Tensor): Logits, N x 1 or 2 x classes.

        Returns:
            Tensor: N x classes. Softmax of it gives the weighted mean of the
            streams' softmax scores.
        """
        return torch.logsumexp(cls_scores.log_softmax(-1) + self.log_weights[:, None], dim=1)

    def loss_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses.

        Args:
            cls_scores (Tensor): Logits, N x 1 or 2 x classes.
            data_samples (SampleList): Samples with labels.

        Returns:
            dict[str, Tensor]: As MMAction2's heads give them, those of a
            stream under names that begin with it.
        """
        if self.loss_on == 'fused':
            return super().loss_by_feat(self.fuse(cls_scores), data_samples)
        losses = {}
        for stream, logits in zip(self.streams, cls_scores.unbind(1), strict=True):
            for name, value in super().loss_by_feat(logits, data_samples).items():
                losses[f'{stream}_{name}'] = value
        return losses

    def predict_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> SampleList:
        """Write the scores into the data samples.

        Args:
            cls_scores (Tensor): Logits, (videos * clips) x 1 or 2 x classes.
            data_samples (SampleList): One per video.

        Returns:
            SampleList: The same, with predictions.
        """
        fused = self.fuse(cls_scores)
        data_samples = super().predict_by_feat(fused, data_samples)
        clip_scores = by_video(fused, data_samples)
        stream_scores = [by_video(logits, data_samples) for logits in cls_scores.unbind(1)]
        for i, data_sample in enumerate(data_samples):
            data_sample.set_field(clip_scores[i], 'clip_scores')
            if self.streams:
                scores = {s: x[i] for s, x in zip(self.streams, stream_scores, strict=True)}
                data_sample.set_field(scores, 'stream_scores')
        return data_samples


@MODELS.register_module()
class TwoStreamRecognizer(MultiClipTesting, MMRecognizer3D):
    """Recognizer of RGB and flow, tested as :class:`MultiClipRecognizer` is.

    Its inputs are a dict of ``imgs`` and ``flow``.

    Args:
        checkpoints (dict[str, str], optional): Checkpoints of the streams,
            ``rgb`` and ``flow``, each trained by itself. Defaults to None: one
            checkpoint of both, written by training this recognizer or by
            ``tools/fuse_checkpoints.py``, is loaded in the usual way.
        **kwargs: Arguments of MMAction2's recognizers.

    Raises:
        InputError: If the checkpoints are not those of two such streams.
    """

    def __init__(self, checkpoints: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checkpoints = checkpoints
        self._load_streams()

    def init_weights(self) -> None:
        """Initialise what the streams' checkpoints have not given."""
        if self.checkpoints is None:
            super().init_weights()
        elif not self.cls_head.streams:
            self.cls_head.init_weights()

    def _load_streams(self) -> None:
        if self.checkpoints is None:
            return
        if set(self.checkpoints) != set(STREAMS):
            raise InputError(
                f'checkpoints has {", ".join(self.checkpoints)}: give one of rgb and one of flow'
            )
        fused = fuse_checkpoints(**self.checkpoints)
        new = None if self.cls_head.streams else 'cls_head.'  # a joint classifier is yet to learn
        load_matching(self, fused['state_dict'], ' and '.join(self.checkpoints.values()), new)

"""Clip and video accuracy from one test pass (Section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Tuple

import torch
from torch import Tensor

from .._registries import METRICS
from .metric import Found, VideoMetric, check_finite

Hits = Tuple[int, int, bool, bool]
"""Number of clips of a video, number of correct clips, and whether it is correct at 1 and 5."""


@METRICS.register_module()
class ClipVideoAccuracy(VideoMetric):
    """clip@1, video@1 and video@5.

    clip@1 is the fraction of clips whose top class is correct. video@k is the fraction of videos
    whose label is among the k best classes of the mean softmax score of the clips; if the head has
    ``average_clips='score'``, of their mean logit. For videos with several labels, a prediction of
    any of them is correct, as in `Karpathy et al. <https://doi.org/10.1109/CVPR.2014.223>`_ on
    Sports-1M. If videos are tested with a single clip, clip@1 equals video@1.

    The metric reads ``clip_scores`` (clips x classes) from
    :class:`~r21d_plugin.models.heads.ClipHead`. For other heads it reads ``pred_score``: logits,
    clips x classes, with ``average_clips=None``, and otherwise the mean as that of one clip. If
    samples have ``stream_scores``, as from :class:`~r21d_plugin.models.TwoStreamHead`, the same
    accuracies are reported for each stream, as ``rgb/clip@1`` and so on. Videos without a label are
    ignored. Scores that are not finite raise an InputError.

    Arguments are those of MMEngine's BaseMetric.
    """

    tasks = ('one class', 'several labels', 'ordered classes')

    def reduce(self, sample: dict[str, Any]) -> dict[str, Hits]:
        """Compare the scores of a video, of each stream, with its labels."""
        scores = {'': clip_probabilities(sample)}
        for stream, clips in sample.get('stream_scores', {}).items():
            scores[f'{stream}/'] = clips.float()
        check_finite(sample, scores.values())
        labels = labels_of(sample)
        if not labels:
            return {}
        means: dict[str, Tensor] = {}
        if (mean := sample.get('pred_score')) is not None and mean.ndim == 1:
            means[''] = mean.float()  # by cls_head.average_clips
        return {name: hits(clips, labels, means.get(name)) for name, clips in scores.items()}

    def measure(self, results: list[dict[str, Hits]]) -> Found:
        """Average over all videos, 0 to 1."""
        return {
            f'{stream}{metric}': value
            for stream in (results[0] if results else ())
            for metric, value in accuracies([result[stream] for result in results]).items()
        }


def clip_probabilities(sample: dict[str, Any]) -> Tensor:
    """Return the softmax scores of a video's clips, clips x classes."""
    if 'clip_scores' in sample:
        scores: Tensor = sample['clip_scores'].float()
        return scores
    score: Tensor = sample['pred_score'].float()
    if score.ndim == 2:
        return torch.softmax(score, dim=1)
    if score.min() < 0 or score.max() > 1:  # logits: average_clips='score' gives their mean
        score = torch.softmax(score, dim=0)
    return score[None]


def labels_of(sample: dict[str, Any]) -> frozenset[int]:
    """Labels of a video, from one label or a vector that is not 0 at each of several.

    A label of -1, or a vector of zeros, means no label.
    """
    label = torch.as_tensor(sample['gt_label'])
    if label.numel() == 1 and not label.is_floating_point():  # else a vector of one label
        return frozenset(label.flatten().tolist()) - {-1}
    return frozenset(label.nonzero().flatten().tolist())


def hits(clips: Tensor, labels: frozenset[int], mean: Tensor | None = None) -> Hits:
    """Compare the scores of a video's clips, clips x classes, and their mean with its labels."""
    mean = clips.mean(dim=0) if mean is None else mean
    best = mean.topk(min(5, len(mean))).indices.tolist()
    clip_hits = sum(top in labels for top in clips.argmax(dim=1).tolist())
    return len(clips), clip_hits, best[0] in labels, not labels.isdisjoint(best)


def accuracies(videos: Sequence[Hits]) -> dict[str, float]:
    """Compute clip@1, video@1 and video@5 of videos, 0 to 1."""
    clips, clip_hits, top1, top5 = map(sum, zip(*videos))
    count = len(videos)
    return {'clip@1': clip_hits / clips, 'video@1': top1 / count, 'video@5': top5 / count}

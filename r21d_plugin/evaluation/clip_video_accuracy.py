"""Clip and video accuracy from one test pass (Section 4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Tuple

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from .._errors import InputError
from .._registries import METRICS

Hits = Tuple[int, int, bool, bool]
"""Number of clips of a video, number of correct clips, and whether it is correct at 1 and 5."""


@METRICS.register_module()
class ClipVideoAccuracy(BaseMetric):
    """clip@1, video@1 and video@5.

    clip@1 is the fraction of clips whose top class is correct. video@k is the fraction of videos
    whose label is among the k best classes of the mean softmax score of the clips. For videos with
    several labels, a prediction of any of them is correct, as in `Karpathy et al.
    <https://doi.org/10.1109/CVPR.2014.223>`_ on Sports-1M. If videos are tested with a single clip,
    clip@1 equals video@1.

    The metric reads ``clip_scores`` (clips x classes) from
    :class:`~r21d_plugin.models.heads.ClipHead`. For other heads it reads ``pred_score``: logits,
    clips x classes, with ``average_clips=None``, and otherwise the score of a single clip. If
    samples have ``stream_scores``, as from :class:`~r21d_plugin.models.TwoStreamHead`, the same
    accuracies are reported for each stream, as ``rgb/clip@1`` and so on. Videos without a label are
    ignored. Scores that are not finite raise an InputError.

    Arguments are those of MMEngine's BaseMetric.
    """

    default_prefix = ''
    tasks = ('one class', 'several labels', 'ordered classes')

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Evaluate the predictions of one batch of videos."""
        for sample in data_samples:
            scores = {'': clip_probabilities(sample)}
            for stream, clips in sample.get('stream_scores', {}).items():
                scores[f'{stream}/'] = clips.float()
            check_finite(sample, scores.values())
            labels = labels_of(sample)
            found = {name: hits(clips, labels) for name, clips in scores.items()}
            self.results.append(found if labels else {})

    def compute_metrics(self, results: list[dict[str, Hits]]) -> dict[str, float]:
        """Average over the videos of all ranks, 0 to 1; raise an InputError if there are none.

        The result is empty if no video has a label.
        """
        if not results:
            raise InputError('no video was tested: none decodes, or the annotation file is empty')
        labelled = [result for result in results if result]
        if not labelled:
            print_log('no accuracy: the videos of the annotation file have no labels', 'current')
            return {}
        return {
            f'{stream}{metric}': value
            for stream in labelled[0]
            for metric, value in accuracies([result[stream] for result in labelled]).items()
        }


def clip_probabilities(sample: dict) -> Tensor:
    """Return the softmax scores of a video's clips, clips x classes."""
    if 'clip_scores' in sample:
        return sample['clip_scores'].float()
    score = sample['pred_score'].float()
    return torch.softmax(score, dim=1) if score.ndim == 2 else score[None]


def check_finite(sample: dict, scores: Iterable[Tensor]) -> None:
    """Raise an InputError that names the sample if one of its scores is not finite."""
    if not all(values.isfinite().all() for values in scores):
        name = sample.get('filename') or sample.get('frame_dir') or 'a video'
        raise InputError(
            f'{name}: its scores are not finite: training may have diverged: test an earlier '
            'checkpoint, or train with a lower learning rate'
        )


def labels_of(sample: dict) -> frozenset[int]:
    """Return the labels of a video, from a single label or a vector with non-zero entries.

    A label of -1, or a vector of zeros, means no label.
    """
    label = torch.as_tensor(sample['gt_label'])
    if label.numel() == 1:
        return frozenset(label.flatten().tolist()) - {-1}
    return frozenset(label.nonzero().flatten().tolist())


def hits(clips: Tensor, labels: frozenset[int]) -> Hits:
    """Compare the scores of a video's clips, clips x classes, with its labels."""
    best = clips.mean(dim=0).topk(min(5, clips.shape[1])).indices.tolist()
    clip_hits = sum(top in labels for top in clips.argmax(dim=1).tolist())
    return len(clips), clip_hits, best[0] in labels, not labels.isdisjoint(best)


def accuracies(videos: Sequence[Hits]) -> dict[str, float]:
    """Compute clip@1, video@1 and video@5 of videos, 0 to 1."""
    clips, clip_hits, top1, top5 = map(sum, zip(*videos))
    count = len(videos)
    return {'clip@1': clip_hits / clips, 'video@1': top1 / count, 'video@5': top5 / count}

"""Clip and video accuracy from one test pass (Section 4.1)."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ..registry import METRICS


@METRICS.register_module()
class ClipVideoAccuracy(BaseMetric):
    """clip@1, video@1 and video@5.

    clip@1 is the fraction of all clips whose top class is right; video@k the
    fraction of videos whose label is among the k best classes of the mean of
    the clips' softmax scores. Where a video is tested with a single clip,
    clip@1 equals video@1.

    Reads ``clip_scores`` (clips x classes, softmax), as
    :class:`~r21d_plugin.models.ClipHead` writes them. From another head with
    ``average_clips=None`` it takes ``pred_score`` as clips x classes of logits,
    and otherwise as the score of a single clip.

    Args:
        collect_device (str): Device to gather the ranks' results on, ``'cpu'``
            or ``'gpu'``. Defaults to ``'cpu'``.
        prefix (str, optional): Prefix of the names. Defaults to None: none.
        collect_dir (str, optional): Folder to gather through on the CPU.
            Defaults to None: a temporary one.
    """

    default_prefix = ''

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Score one batch of videos.

        Args:
            data_batch (object): The input, not used.
            data_samples (Sequence[dict]): Predictions, one per video.
        """
        for sample in data_samples:
            clips = clip_probabilities(sample)
            label = int(sample['gt_label'])
            best = clips.mean(dim=0).topk(min(5, clips.shape[1])).indices.tolist()
            self.results.append(
                dict(
                    clips=len(clips),
                    clip_hits=int((clips.argmax(dim=1) == label).sum()),
                    top1=best[0] == label,
                    top5=label in best,
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over all videos of all ranks, each counted once.

        Args:
            results (list[dict]): What :meth:`process` stored.

        Returns:
            dict[str, float]: The accuracies, 0 to 1.
        """
        clips = sum(result['clips'] for result in results)
        return {
            'clip@1': sum(result['clip_hits'] for result in results) / clips,
            'video@1': sum(result['top1'] for result in results) / len(results),
            'video@5': sum(result['top5'] for result in results) / len(results),
        }


def clip_probabilities(sample: dict) -> Tensor:
    """Softmax scores of a video's clips, clips x classes."""
    if 'clip_scores' in sample:
        return sample['clip_scores'].float()
    score = sample['pred_score'].float()
    return torch.softmax(score, dim=1) if score.ndim == 2 else score[None]

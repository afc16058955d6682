"""Check the outputs of networks: values are finite, and scores are probabilities."""

from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.structures import ActionDataSample
from torch import Tensor

from .._errors import InputError


def check_finite(values: Tensor, source: object) -> None:
    """Raise an InputError that names ``source`` if an output is infinite or NaN."""
    if not values.isfinite().all():
        reason = 'the network outputs NaN or infinity; its training may have diverged'
        raise InputError(f'{source}: {reason}: use an earlier checkpoint')


def video_scores(model: BaseRecognizer, sample: ActionDataSample, source: object) -> Tensor:
    """Return the class scores (or numbers) of a tested video, averaged over its clips.

    :class:`~r21d_plugin.models.heads.ClipHead` provides the scores of each clip. Other heads must
    output probabilities, or logits if ``average_clips`` is not ``'prob'``; logits are converted by
    a softmax. Raises an InputError if the values are not finite or not probabilities.
    """
    check_finite(sample.pred_score, source)
    mode = getattr(model.cls_head, 'average_clips', 'prob')
    if 'clip_scores' in sample and mode != 'score':
        clips: Tensor = sample.clip_scores
        return clips.mean(0)
    scores: Tensor = sample.pred_score
    if mode != 'prob':
        scores = scores.softmax(-1)
    if mode is None:
        scores = scores.mean(0)
    if scores.ndim != 1 or scores.min() < 0 or abs(scores.sum() - 1) > 0.01:
        head = type(model.cls_head).__name__
        raise InputError(f'{source}: the scores of {head} are not class probabilities')
    return scores

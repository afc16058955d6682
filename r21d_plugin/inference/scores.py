"""What a network's outputs have to be: finite, and scores of classes."""

from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.structures import ActionDataSample
from torch import Tensor

from .._errors import InputError


def check_finite(values: Tensor, source: object) -> None:
    """Raise an InputError if an output is infinite or NaN; ``source`` is what to name."""
    if not values.isfinite().all():
        reason = 'the network gives values that are not finite, as one does whose training diverged'
        raise InputError(f'{source}: {reason}: use an earlier checkpoint')


def video_scores(model: BaseRecognizer, sample: ActionDataSample, source: object) -> Tensor:
    """Scores of the classes (or numbers) of a tested video, the mean over its clips.

    :class:`~r21d_plugin.models.heads.ClipHead` gives them of each clip. Those of others are
    probabilities: as they are, or by a softmax where ``average_clips`` says that they are logits.
    Raises an InputError if they are not finite or no probabilities.
    """
    check_finite(sample.pred_score, source)
    if 'clip_scores' in sample:
        clips: Tensor = sample.clip_scores
        return clips.mean(0)
    scores: Tensor = sample.pred_score
    mode = getattr(model.cls_head, 'average_clips', 'prob')
    if mode != 'prob':
        scores = scores.softmax(-1)
    if mode is None:
        scores = scores.mean(0)
    if scores.ndim != 1 or scores.min() < 0 or abs(scores.sum() - 1) > 0.01:
        head = type(model.cls_head).__name__
        raise InputError(f'{source}: the scores of {head} are no probabilities of classes')
    return scores

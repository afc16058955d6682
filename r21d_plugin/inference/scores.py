"""What a network's outputs have to be: finite, and scores probabilities."""

from mmaction.models.recognizers.base import BaseRecognizer
from torch import Tensor

from .._errors import InputError


def check_finite(values: Tensor, source: object) -> None:
    """Raise an InputError if an output is infinite or NaN; ``source`` is what to name."""
    if not values.isfinite().all():
        reason = 'the network gives values that are not finite, as one does whose training diverged'
        raise InputError(f'{source}: {reason}: use an earlier checkpoint')


def probabilities(model: BaseRecognizer, scores: Tensor, source: object) -> Tensor:
    """Probabilities of the classes from the ``pred_score`` of a tested video.

    That depends on the head's ``average_clips``: ``'prob'`` gives them, ``'score'`` the mean of
    the clips' logits, and None the logits, clips x classes, whose softmax scores are averaged here.
    Raises an InputError if they are not finite or no probabilities.
    """
    check_finite(scores, source)
    mode = getattr(model.cls_head, 'average_clips', 'prob')
    if mode != 'prob':
        scores = scores.softmax(-1)
    if mode is None:
        scores = scores.mean(0)
    if scores.ndim != 1 or scores.min() < 0 or abs(scores.sum() - 1) > 0.01:
        head = type(model.cls_head).__name__
        raise InputError(f'{source}: the scores of {head} are no probabilities of classes')
    return scores

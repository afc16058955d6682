"""Scores of heads of all kinds as probabilities."""

from types import SimpleNamespace

import pytest
import torch

from r21d_plugin import InputError
from r21d_plugin.inference.scores import video_scores

LOGITS = torch.tensor([[4.0, 0, 0], [0, 2, 0]])


class Sample(SimpleNamespace):
    """A tested video."""

    def __contains__(self, key):
        return hasattr(self, key)


def scores(mode, pred_score, **others):
    model = SimpleNamespace(cls_head=SimpleNamespace(average_clips=mode))
    return video_scores(model, Sample(pred_score=pred_score, **others), 'a.mp4')


def test_scores_of_a_video():
    wanted = LOGITS.softmax(1).mean(0)
    torch.testing.assert_close(scores('prob', LOGITS[0], clip_scores=LOGITS.softmax(1)), wanted)
    torch.testing.assert_close(scores('prob', wanted), wanted)
    torch.testing.assert_close(scores('score', LOGITS[0]), LOGITS[0].softmax(0))
    torch.testing.assert_close(scores(None, LOGITS), wanted)


def test_what_is_no_probability():
    with pytest.raises(
        InputError, match=r'a\.mp4: the scores of SimpleNamespace are not class prob'
    ):
        scores('prob', LOGITS[0])
    with pytest.raises(InputError, match=r'a\.mp4: the network outputs NaN or infinity'):
        scores('prob', torch.tensor([float('nan'), 1]))

"""Scores and losses of a head, for each kind of loss."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample

from r21d_plugin import InputError
from r21d_plugin.models.losses import ordinal_log_scores

LOSSES = dict(
    class_=dict(type='CrossEntropyLoss'),
    labels=dict(type='BCELossWithLogits'),
    ordered=dict(type='r21d_plugin.OrdinalLoss'),
    numbers=dict(type='r21d_plugin.RegressionLoss'),
)


def build(loss, **kwargs):
    torch.manual_seed(0)
    cfg = dict(type='r21d_plugin.ClipHead', num_classes=4, in_channels=8, loss_cls=loss)
    head = MODELS.build(dict(cfg, **kwargs))
    head.init_weights()
    return head


def samples(*labels):
    return [ActionDataSample().set_gt_label(torch.as_tensor(label)) for label in labels]


def predict(head, logits, videos):
    return head.predict_by_feat(logits, [ActionDataSample() for _ in range(videos)])


@pytest.mark.parametrize('loss', LOSSES)
def test_a_copy_has_the_same_task(loss):
    head = build(LOSSES[loss])
    assert copy.deepcopy(head).task is head.task


def test_several_labels_share_the_target_of_a_softmax():
    head, logits = build(LOSSES['class_']), torch.randn(2, 4)
    found = head.loss_by_feat(logits, samples([1.0, 0, 1, 0], [0.0, 1, 0, 0]))['loss_cls']
    wanted = F.cross_entropy(logits, torch.tensor([[0.5, 0, 0.5, 0], [0, 1, 0, 0]]))
    torch.testing.assert_close(found, wanted)


def test_several_labels_with_sigmoid():
    head, logits = build(LOSSES['labels']), torch.randn(6, 4)
    labels = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0]])
    found = head.loss_by_feat(logits[:2], samples(*labels))['loss_cls']
    torch.testing.assert_close(found, F.binary_cross_entropy(logits[:2].sigmoid(), labels))
    for sample, clips in zip(predict(head, logits, 2), logits.view(2, 3, 4).sigmoid()):
        torch.testing.assert_close(sample.clip_scores, clips)
        torch.testing.assert_close(sample.pred_score, clips.mean(0))
        assert sample.pred_label.tolist() == (clips.mean(0) > 0.5).nonzero().flatten().tolist()


@pytest.mark.parametrize('loss', ['class_', 'labels'])
def test_the_optimum(loss):
    """With two true labels, each gets half of a softmax, or all of its sigmoid."""
    head, logits = build(LOSSES[loss]), torch.zeros(1, 4, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.5)
    for _ in range(300):
        optimizer.zero_grad()
        head.loss_by_feat(logits, samples([1.0, 0, 1, 0]))['loss_cls'].backward()
        optimizer.step()
    wanted = [0.5, 0, 0.5, 0] if loss == 'class_' else [1.0, 0, 1, 0]
    torch.testing.assert_close(head.scores(logits)[0], torch.tensor(wanted), atol=0.02, rtol=0)


def test_ordered_classes():
    head = build(LOSSES['ordered'])
    assert head.fc_cls.out_features == 3
    logits = torch.randn(5, 3, dtype=torch.double, requires_grad=True)
    scores = head.scores(logits)
    torch.testing.assert_close(scores.sum(1), torch.ones(5, dtype=torch.double))
    above = logits.sigmoid()  # of class k for what is not below it
    torch.testing.assert_close(scores[:, 2], above[:, 0] * above[:, 1] * (1 - above[:, 2]))
    found = head.loss_by_feat(logits, samples([0], [1], [2], [3], [2]))['loss_cls']
    torch.testing.assert_close(found, -scores[range(5), [0, 1, 2, 3, 2]].log().mean())
    assert ordinal_log_scores(torch.full((1, 3), 200.0)).isfinite().all()
    (sample,) = predict(head, logits[:2].detach().float(), 1)
    assert sample.pred_score.shape == (4,)


def test_weights_of_ordered_classes():
    logits, labels = torch.randn(3, 3), samples([0], [0], [3])
    weighted = build(dict(LOSSES['ordered'], class_weight=[1.0, 1, 1, 5]))
    log_scores = ordinal_log_scores(logits)
    wanted = -(log_scores[0, 0] + log_scores[1, 0] + 5 * log_scores[2, 3]) / 7
    torch.testing.assert_close(weighted.loss_by_feat(logits, labels)['loss_cls'], wanted)


def test_smoothing_with_weights_of_classes():
    """With two classes, a tenth of smoothing outweighs the true class from 19 times its weight."""
    loss = dict(LOSSES['class_'], class_weight=[1.0, 18.9])
    build(loss, num_classes=2, label_smooth_eps=0.1)
    loss['class_weight'] = [1.0, 19.1]
    build(loss, num_classes=2)
    with pytest.raises(InputError, match='are trained to be of the rarest class: set it to 0'):
        build(loss, num_classes=2, label_smooth_eps=0.1)


@pytest.mark.parametrize(
    ('distance', 'function'),
    [('mse', F.mse_loss), ('l1', F.l1_loss), ('huber', F.smooth_l1_loss)],
)
def test_numbers(distance, function):
    loss = dict(LOSSES['numbers'], distance=distance)
    head = build(loss, num_classes=2, target_mean=[10, 20], target_std=[2, 4.0])
    values = head.scores(torch.tensor([[1.0, -1.0], [0, 0], [3, 0]]))
    assert values.tolist() == [[12, 16], [10, 20], [16, 20]]
    targets = torch.tensor([[13.0, 21], [10, 20]])
    found = head.loss_by_feat(torch.zeros(2, 2), samples(*targets))['loss_cls']
    torch.testing.assert_close(
        found, function(torch.tensor([[1.5, 0.25], [0, 0]]), torch.zeros(2, 2))
    )
    (sample,) = predict(head, torch.tensor([[1.0, -1], [3, 1]]), 1)
    assert sample.pred_score.tolist() == [14, 20]
    assert sample.task == 'numbers'


def test_the_scale_of_numbers_is_in_the_checkpoint():
    head = build(LOSSES['numbers'])
    assert head.to_measure == ['target_mean', 'target_std']
    with pytest.raises(InputError, match='a number is the same for all videos'):
        head.measure_targets(torch.tensor([[1.0, 2, 3, 4], [3, 2, 4, 8]]))
    head.measure_targets(torch.tensor([[1.0, 2, 3, 4], [3, 4, 4, 8]]))
    assert head.target_mean.tolist() == [2, 3, 3.5, 6]
    other = build(LOSSES['numbers'])
    other.load_state_dict(head.state_dict())
    assert other.target_std.tolist() == head.target_std.tolist()
    assert other.to_measure == []


def test_weights_without_a_scale_give_unscaled_numbers():
    head = build(LOSSES['numbers'], target_mean=5.0)
    plain = {key: value for key, value in head.state_dict().items() if key.startswith('fc_cls')}
    head.load_state_dict(plain, strict=False)
    assert (head.target_mean[0], head.target_std[0]) == (0, 1)


@pytest.mark.parametrize(
    ('loss', 'arguments', 'message'),
    [
        (
            'labels',
            dict(label_smooth_eps=0.1),
            'label_smooth_eps: not with BCE',
        ),
        ('class_', dict(target_mean=3), 'target_mean and target_std: not with CrossEntropy'),
        ('numbers', dict(average_clips='score'), "average_clips='score': not with Regression"),
        ('ordered', dict(num_classes=1), 'num_classes'),
        ('numbers', dict(target_std=0), 'target_std=0: give one number, or 4, above 0'),
        ('numbers', dict(target_mean=[1, 2]), 'give one number, or 4$'),
    ],
)
def test_arguments_that_do_not_fit(loss, arguments, message):
    with pytest.raises(InputError, match=message):
        build(LOSSES[loss], **arguments)


def test_unknown_distance():
    with pytest.raises(InputError, match="distance='l2': use mse, l1, huber"):
        build(dict(LOSSES['numbers'], distance='l2'))


def test_two_streams_support_only_one_class():
    cfg = dict(type='r21d_plugin.TwoStreamHead', num_classes=3, loss_cls=LOSSES['labels'])
    with pytest.raises(InputError, match='BCELossWithLogits: two streams are for one class'):
        MODELS.build(copy.deepcopy(cfg))


def test_average_of_logits():
    """``average_clips='score'`` is MMAction2's; ``'prob'`` averages probabilities."""
    logits = torch.tensor([[4.0, 0, 0, 0], [0, 2, 0, 0]])
    head = build(LOSSES['class_'])
    torch.testing.assert_close(head.average_clip(logits, 2)[0], logits.softmax(1).mean(0))
    head.average_clips = 'score'
    torch.testing.assert_close(head.average_clip(logits, 2)[0], logits.mean(0))

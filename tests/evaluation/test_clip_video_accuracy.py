import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.evaluator import Evaluator

from r21d_plugin import InputError
from r21d_plugin.evaluation import ClipVideoAccuracy
from r21d_plugin.evaluation.clip_video_accuracy import clip_probabilities, labels_of


def one_hot_scores(*winners, classes=6):
    """Make scores of clips with the given best classes, all with the same margin."""
    return torch.nn.functional.one_hot(torch.tensor(winners), classes) * 0.4 + 0.1


def evaluate(samples):
    metric = ClipVideoAccuracy()
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_counts_clips_and_videos():
    samples = [
        dict(
            clip_scores=one_hot_scores(0, 0, 1), gt_label=torch.tensor([0])
        ),  # 2 clips, video right
        dict(
            clip_scores=one_hot_scores(1, 1, 2), gt_label=torch.tensor([2])
        ),  # 1 clip, video wrong
    ]
    metrics = evaluate(samples)
    assert metrics == {'clip@1': 0.5, 'video@1': 0.5, 'video@5': 1.0}


def test_video_scores_average_softmax_not_logits():
    logits = torch.tensor([[9.0, 0, 0], [0, 1.5, 0], [0, 1.5, 0], [0, 1.5, 0]])
    assert logits.mean(0).argmax() == 0
    assert logits.softmax(1).mean(0).argmax() == 1
    metrics = evaluate([dict(pred_score=logits, gt_label=torch.tensor([1]))])
    assert metrics['video@1'] == 1
    assert metrics['clip@1'] == 0.75


@pytest.mark.parametrize(('mode', 'right'), [('prob', 0), ('score', 1)])
def test_videos_are_averaged_as_the_head_says(mode, right):
    """The mean logit is that of class 0, the mean softmax score that of class 1."""
    head = MODELS.build(
        dict(type='r21d_plugin.ClipHead', num_classes=3, in_channels=4, average_clips=mode)
    )
    logits = torch.tensor([[20.0, 0, 0], [0, 5, 0], [0, 5, 0]])
    (sample,) = head.predict_by_feat(logits, [ActionDataSample().set_gt_label(0)])
    assert evaluate([sample.to_dict()])['video@1'] == right


def test_mean_logits_of_other_heads():
    """A dump has probabilities; sigmoid scores are left as they are."""
    logits = torch.tensor([3.0, -1, 0])
    assert torch.equal(clip_probabilities(dict(pred_score=logits))[0], logits.softmax(0))
    scores = torch.tensor([0.9, 0.8, 0.1])
    assert torch.equal(clip_probabilities(dict(pred_score=scores))[0], scores)


def test_any_of_several_labels_is_right():
    clips = one_hot_scores(3, 3, 1)
    for labels, clip, video in (([1, 3], 1, 1), ([1, 0], 1 / 3, 0), ([3], 2 / 3, 1), ([0], 0, 0)):
        several = torch.zeros(6)
        several[labels] = 1
        metrics = evaluate([dict(clip_scores=clips, gt_label=several)])
        assert metrics['clip@1'] == pytest.approx(clip)
        assert metrics['video@1'] == video


def test_a_vector_of_one_label():
    """Of a task with one label, which a video has or has not; no number of a class."""
    assert labels_of(dict(gt_label=torch.tensor([1.0]))) == {0}
    assert labels_of(dict(gt_label=torch.tensor([0.0]))) == frozenset()
    assert labels_of(dict(gt_label=torch.tensor([1]))) == {1}


@pytest.mark.parametrize('no_label', [torch.tensor([-1]), torch.zeros(6)])
def test_videos_without_labels_are_ignored(no_label):
    unlabelled = dict(clip_scores=one_hot_scores(3, 3), gt_label=no_label)
    labelled = dict(clip_scores=one_hot_scores(3, 3), gt_label=torch.tensor([3]))
    assert evaluate([unlabelled]) == {}
    assert evaluate([unlabelled, labelled]) == {'clip@1': 1, 'video@1': 1, 'video@5': 1}


def test_streams_are_reported_too():
    sample = dict(
        clip_scores=one_hot_scores(0, 0),
        gt_label=torch.tensor([0]),
        stream_scores=dict(rgb=one_hot_scores(0, 1), flow=one_hot_scores(1, 1)),
    )
    metrics = evaluate([sample])
    assert (metrics['clip@1'], metrics['rgb/clip@1'], metrics['flow/clip@1']) == (1, 0.5, 0)
    assert metrics['flow/video@1'] == 0
    assert len(metrics) == 9


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('place', ['clip_scores', 'pred_score', 'stream'])
def test_scores_that_are_not_finite(value, place):
    """Such scores would count as predictions of a class."""
    sample = dict(clip_scores=one_hot_scores(0, 0), gt_label=torch.tensor([0]))
    bad = one_hot_scores(0, 0)
    bad[1, 2] = value
    if place == 'stream':
        sample['stream_scores'] = dict(rgb=one_hot_scores(0, 0), flow=bad)
    else:
        del sample['clip_scores']
        sample[place] = bad
    message = 'its scores are not finite: training may have diverged'
    with pytest.raises(InputError, match=rf'^a\.mp4: {message}'):
        evaluate([dict(sample, filename='a.mp4')])
    with pytest.raises(InputError, match=rf'^a video: {message}'):
        evaluate([sample])


def test_a_single_score_is_a_single_clip():
    metrics = evaluate([dict(pred_score=torch.tensor([0.2, 0.8]), gt_label=torch.tensor([1]))])
    assert metrics == {'clip@1': 1.0, 'video@1': 1.0, 'video@5': 1.0}


def test_video_at_5():
    scores = torch.linspace(1, 0, 10)[None].softmax(1)
    for label, hit in [(4, 1.0), (5, 0.0)]:
        metrics = evaluate([dict(clip_scores=scores, gt_label=torch.tensor([label]))])
        assert metrics['video@5'] == hit


def test_padding_of_distributed_testing_does_not_count(monkeypatch):
    """Three videos on two ranks: the last result of the second rank is padding."""
    right = dict(clip_scores=one_hot_scores(0), gt_label=torch.tensor([0]))
    wrong = dict(clip_scores=one_hot_scores(1), gt_label=torch.tensor([0]))
    ranks = []
    for samples in ([right, wrong], [wrong, right]):  # videos 0, 2 and 1, 0 again
        metric = ClipVideoAccuracy()
        metric.process(None, samples)
        ranks.append(metric)

    def gather(results, size, *args, **kwargs):
        merged = [r for pair in zip(*(m.results for m in ranks)) for r in pair]
        return merged[:size]

    monkeypatch.setattr('mmengine.evaluator.metric.collect_results', gather)
    assert ranks[0].evaluate(3)['video@1'] == pytest.approx(1 / 3)


def test_names_carry_no_prefix():
    sample = dict(clip_scores=one_hot_scores(0), gt_label=torch.tensor([0]))
    evaluator = Evaluator(ClipVideoAccuracy())
    evaluator.process([sample])
    assert set(evaluator.evaluate(1)) == {'clip@1', 'video@1', 'video@5'}

"""Metrics, compared with numbers computed by hand."""

import numpy as np
import pytest
import torch

from r21d_plugin import InputError
from r21d_plugin.evaluation import MultiLabelMetric, OrdinalMetric, RegressionMetric


def evaluate(metric, scores, targets, names=()):
    metric.dataset_meta = dict(classes=names)
    pairs = zip(torch.tensor(scores), torch.tensor(targets))
    metric.process(None, [dict(pred_score=x, gt_label=y) for x, y in pairs])
    return metric.evaluate(len(scores))


def test_several_labels():
    scores = [[0.9, 0.2, 0.1], [0.8, 0.6, 0.3], [0.3, 0.7, 0.2], [0.2, 0.1, 0.1]]
    targets = [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]
    found = evaluate(MultiLabelMetric(thresholds=(0.5, 0.75)), scores, targets, ('a', 'b', 'c'))
    # a: ranked 1, 3 of 4: (1 + 2/3) / 2; b: ranked 2: 1/2; no video has c.
    assert found['AP/a'] == pytest.approx(5 / 6)
    assert found['AP/b'] == pytest.approx(1 / 2)
    assert 'AP/c' not in found
    assert found['mAP'] == pytest.approx(2 / 3)
    assert found['AUROC'] == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert found['F1@0.5'] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found['F1@0.75'] == pytest.approx((1 / 2 + 0) / 2)


def test_one_label():
    found = evaluate(MultiLabelMetric(), [[0.9], [0.8], [0.2], [0.1]], [[1], [0], [0], [0]])
    assert found['F1@0.5'] == pytest.approx(2 / 3), 'not also of its absence'
    assert (found['mAP'], found['AUROC']) == (1, 1)


def test_a_label_of_all_videos():
    found = evaluate(MultiLabelMetric(), [[0.1, 0.9], [0.7, 0.8]], [[0, 1], [1, 1]])
    assert (found['mAP'], found['AUROC'], found['F1@0.5']) == (1, 1, 1)


def test_ordered_classes():
    scores = [[0.4, 0.3, 0.3], [0.1, 0.8, 0.1], [0, 0.1, 0.9]]
    found = evaluate(OrdinalMetric(), scores, [[0], [1], [0]])
    assert found['video@1'] == pytest.approx(2 / 3)  # the best classes are 0, 1, 2
    assert found['MAE'] == pytest.approx((1 + 0 + 2) / 3)  # the medians are 1, 1, 2
    # Quadratic weights: observed (1 + 0 + 4) / 3; expected of the margins (0, 1, 0), (1, 1, 2).
    assert found['kappa'] == pytest.approx(1 - 5 / ((2 * (2 * 1 + 1 * 4) + 1 * (1 * 1)) / 3))


def test_numbers():
    values, targets = [[1.0], [2.0], [6.0]], [[2.0], [2.0], [4.0]]
    found = evaluate(RegressionMetric(), values, targets)
    assert found['MAE'] == pytest.approx(1)
    assert found['RMSE'] == pytest.approx((5 / 3) ** 0.5)
    assert found['R2'] == pytest.approx(1 - 5 / (8 / 3))
    low, high = found['MAE_95']
    assert 0 <= low < found['MAE'] < high <= 2


def test_intervals_have_the_stated_coverage():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(50):
        error = rng.normal(size=(80, 1))
        metric = RegressionMetric(resamples=150)
        low, high = evaluate(metric, error, np.zeros_like(error))['RMSE_95']
        inside += low < 1 < high
    assert 42 <= inside < 50


def test_several_numbers():
    metric = RegressionMetric(resamples=0)
    found = evaluate(metric, [[1.0, 5.0], [2.0, 9.0]], [[1.0, 6.0], [2.0, 6.0]], ('EF', 'rate'))
    assert (found['MAE/EF'], found['MAE/rate'], found['MAE']) == (0, 2, 1)
    assert not [name for name in found if '95' in name]


@pytest.mark.parametrize('metric', [MultiLabelMetric, OrdinalMetric, RegressionMetric])
def test_lists_without_labels(metric):
    target = dict(
        MultiLabelMetric=[0.0, 0], OrdinalMetric=[-1], RegressionMetric=[float('nan')] * 2
    )
    assert evaluate(metric(), [[0.2, 0.3]], [target[metric.__name__]]) == {}
    if metric is not MultiLabelMetric:
        sample = dict(pred_score=torch.rand(2), gt_label=torch.tensor(target[metric.__name__]))
        assert metric().reduce(sample) is not None, 'MMEngine drops None where processes collect'


def test_scores_that_are_not_finite():
    with pytest.raises(InputError, match='not finite'):
        evaluate(RegressionMetric(), [[float('nan')]], [[1.0]])
    with pytest.raises(InputError, match='no video was tested'):
        RegressionMetric().compute_metrics([])

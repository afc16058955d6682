"""Figures of a report, compared with counts by hand, and its charts."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from mmengine.config import Config

from r21d_plugin import InputError
from r21d_plugin.evaluation.curves import Curves
from r21d_plugin.evaluation.intervals import bootstrap, intervals
from r21d_plugin.evaluation.scores import KeptScores, Scores, accuracy, read_scores

pytest.importorskip('jinja2')  # PyTorch brings it since 2.0

from r21d_plugin.evaluation.report import charts, find_test, statistics
from r21d_plugin.evaluation.report.mistakes import average_crops
from r21d_plugin.evaluation.report.work_dir import training_of

NAMES = ['cat', 'dog', '<b>&']
VIDEOS = [(0, 0.9), (0, 0.6), (1, 0.9), (2, 0.7), (0, 0.8)]
LABELS = [0, 1, 1, 0, 1]


def scores_of(given: int, score: float) -> torch.Tensor:
    """Make two clips with the same scores."""
    row = torch.full((3,), (1 - score) / 2)
    row[given] = score
    return row.expand(2, 3).clone()


@pytest.fixture
def scored() -> dict:
    """Make five videos of classes 0 and 1, of which two are right."""
    return {
        f'{i}.mp4': Scores(scores_of(*video), frozenset([label]))
        for i, (video, label) in enumerate(zip(VIDEOS, LABELS))
    }


@pytest.fixture
def found(scored) -> statistics.Outcomes:
    return statistics.outcomes(scored)


def test_outcomes(found):
    assert found.true.tolist() == LABELS
    assert found.given.tolist() == [given for given, _ in VIDEOS]
    assert found.score == pytest.approx([score for _, score in VIDEOS])
    assert found.right.tolist() == [True, False, True, False, False]


def test_with_several_labels_the_predicted_one_counts(scored):
    two = {'a': scored['0.mp4']._replace(labels=frozenset([0, 2]))}
    two['b'] = scored['2.mp4']._replace(labels=frozenset([0, 2]))
    assert statistics.outcomes(two).true.tolist() == [0, 0]


def test_intervals_hold_the_accuracy_and_shrink_with_more_videos(scored):
    assert {k: v.value for k, v in intervals(scored).items()} == accuracy(scored)
    few = bootstrap(np.array([0.0, 1, 1, 0] * 5))
    many = bootstrap(np.array([0.0, 1, 1, 0] * 500))
    assert few[0] < 0.5 < few[1]
    # Normal approximation: 1.96 * sqrt(0.25 / n).
    assert few[1] - few[0] == pytest.approx(0.44, abs=0.06)
    assert many[1] - many[0] == pytest.approx(0.044, abs=0.006)
    alone = intervals({'0.mp4': scored['0.mp4']})
    assert alone['clip@1'] == (1, 1, 1)
    assert alone['video@1'].low == pytest.approx(0.2065, abs=1e-4)  # 1 / (1 + 1.96^2)


def test_classes_and_confusions(found):
    matrix = statistics.confusion_matrix(found, 3)
    assert matrix.tolist() == [[1, 0, 1], [2, 1, 0], [0, 0, 0]]
    last, cat, dog = statistics.class_rows(matrix, NAMES)
    assert last[:3] == ('<b>&', 0, 0)
    assert np.isnan(last.recall)
    assert cat == ('cat', 2, pytest.approx(1 / 3), 0.5, pytest.approx(0.4))
    assert dog == ('dog', 3, 1, pytest.approx(1 / 3), 0.5)
    pairs = statistics.confused_pairs(matrix, NAMES, 9)
    assert pairs == [('dog', 'cat', 2, pytest.approx(2 / 3)), ('cat', '<b>&', 1, 0.5)]
    assert statistics.confused_pairs(matrix, NAMES, 1) == pairs[:1]


def test_calibration(found):
    calibrated = statistics.calibration(found)
    assert calibrated.videos.sum() == 5
    # 0.9 twice, both right; 0.6, 0.7 and 0.8, all wrong.
    assert calibrated.error == pytest.approx((2 * 0.1 + 0.6 + 0.7 + 0.8) / 5)


def test_the_most_confident_mistakes_come_first(found):
    assert statistics.worst_mistakes(found, 9) == [4, 3, 1]
    assert statistics.worst_mistakes(found, 2) == [4, 3]


def test_charts_take_any_name_and_the_colour_of_the_text(found):
    matrix = statistics.confusion_matrix(found, 3)
    chart = charts.confusion_chart(matrix, ['$x^', '_y', '<b>&'])
    text = {element.text for element in ElementTree.fromstring(chart).iter()}
    assert {'$x^', '_y', '<b>&'} <= text
    assert 'currentColor' in chart
    assert charts.INK not in chart
    many = charts.confusion_chart(np.eye(400, dtype=int), [f'class {i}' for i in range(400)])
    assert 'class 1' not in many
    assert len(many) < 100_000


def test_crops_are_averaged():
    views = torch.arange(12.0).reshape(6, 2)  # three crops of two clips
    dataset = dict(pipeline=[dict(type='SampleFrames', num_clips=2), dict(type='ThreeCrop')])
    cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
    assert average_crops(views, cfg).tolist() == [[4, 5], [6, 7]]
    assert average_crops(views[:5], cfg).tolist() == views[:5].tolist()
    cfg.test_dataloader.dataset.pipeline[0].num_clips = 'all'
    assert average_crops(views, cfg).tolist() == views.tolist()


def test_losses_of_a_second_start(tmp_path):
    """They replace those of the same epochs in an earlier start."""
    starts = {'20260101_000000': [(1, 9.0), (2, 8.0)], '20260102_000000': [(2, 0.5), (2, 0.3)]}
    for name, steps in starts.items():
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        lines = [
            json.dumps(dict(epoch=epoch, loss=loss, time=1.0, step=1)) for epoch, loss in steps
        ]
        lines.append(json.dumps({'train/clip@1': 0.5, 'step': 2}))
        (folder / 'scalars.json').write_text('\n'.join(lines))
    assert training_of(tmp_path)[1] == {1: 9.0, 2: pytest.approx(0.4)}
    for log in tmp_path.glob('*/vis_data/scalars.json'):  # of ordered classes
        log.write_text(log.read_text().rpartition('\n')[0])
    assert training_of(tmp_path) == (Curves({}, {}), {1: 9.0, 2: pytest.approx(0.4)})


def sample(**changes) -> dict:
    scores = torch.tensor([0.2, 0.8])
    values = dict(filename='/data/a.mp4', pred_score=scores, pred_label=1, gt_label=1)
    return {key: value for key, value in {**values, **changes}.items() if value is not None}


def kept(path, *samples) -> bool:
    metric = KeptScores(str(path))
    metric.process({}, samples)
    metric.evaluate(len(samples))
    return path.exists()


def test_scores_are_stored_if_possible(tmp_path):
    assert not kept(tmp_path / 'a.npz', sample(filename=None), sample(pred_score=None))
    clips = torch.zeros(3, 2)
    uneven = sample(filename='/data/b.mp4', clip_scores=clips, pred_score=clips[0])
    assert not kept(tmp_path / 'b.npz', sample(), uneven)
    assert kept(tmp_path / 'c.npz', sample(), sample(filename=None))
    assert list(read_scores(tmp_path / 'c.npz')) == ['a.mp4']


def test_work_dirs_without_a_test(tmp_path):
    with pytest.raises(InputError, match=r'no finished test with scores\.npz there: run r21d test'):
        find_test(tmp_path)
    (tmp_path / '1/vis_data').mkdir(parents=True)
    kept(tmp_path / '1/scores.npz', sample(gt_label=-1))
    with pytest.raises(InputError, match=r'config\.py: no such file: run the test again'):
        find_test(tmp_path)
    (tmp_path / '1/vis_data/config.py').touch()
    kept(tmp_path / 'dump/scores.npz', sample())  # not a test's folder
    with pytest.raises(InputError, match=r'a\.mp4 has no label: a report needs all labels'):
        find_test(tmp_path)

"""Probes of features with known results."""

import numpy as np
import pytest
import torch

from r21d_plugin import InputError
from r21d_plugin.inference.linear_probe import ClipFeatures
from r21d_plugin.inference.probe import labelled_features, mean_features, probe, recalls


def features(points, labels):
    return ClipFeatures(torch.tensor(points, dtype=torch.float32)[:, None], torch.tensor(labels))


def on_circle(degrees, length=1.0):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1) * length


def test_recall_by_hand():
    """Neighbours by angle: of 0 degrees 2 (class 0), 4 (1), 10 (1); of 50 degrees 40, 65, 10."""
    training = features(on_circle([2, 4, 10, 40, 65, 180], length=7), [0, 1, 1, 2, 3, 4])
    test = features(on_circle([0, 50, 0, 50, 0]), [0, 3, 1, 1, 4])
    found = recalls(training, test, (1, 2, 3, 6, 7))
    assert found == pytest.approx({1: 1 / 5, 2: 3 / 5, 3: 4 / 5, 6: 1})


def test_length_and_order_do_not_count():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(60, 8)), rng.integers(0, 3, 60)
    queries = features(rng.normal(size=(20, 8)), rng.integers(0, 3, 20))
    order = rng.permutation(60)
    scaled = points[order] * rng.uniform(0.1, 10, (60, 1))
    expected = recalls(features(points, labels), queries)
    assert recalls(features(scaled, labels[order]), queries) == expected
    assert 0 < expected[1] < expected[5] < expected[50] == 1


def test_classes_that_a_line_tells_apart():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    points = rng.normal(size=(4, 16))[labels] * 5 + rng.normal(size=(200, 16))
    found = probe(features(points[:150], labels[:150]), features(points[150:], labels[150:]))
    assert found['top1'] == found['recall'][1] == 1
    assert found['videos'] == dict(train=150, test=50)
    mixed = probe(features(points[:150], labels[:150]), features(points[150:], labels[:50]))
    assert mixed['top1'] < 0.5
    assert mixed['recall'][1] < 0.5 < mixed['recall'][50]


def test_features_of_a_video_are_averaged(tmp_path):
    """They are averaged over clips, crops and time. Lists may omit the extension."""
    stored = dict(zip(['a/x.mp4', 'y_r21d'], np.random.rand(2, 5, 10, 3, 8).astype('f')))
    for name, values in stored.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f'{name}.npy', values)
        (tmp_path / f'{name}.json').write_text('{}')
    np.save(tmp_path / 'half.npy', np.ones(3))  # not complete: its facts are missing
    (tmp_path / 'list.txt').write_text('a/x.mp4 3\ny.avi 1\nbroken.mp4 2\n')
    found = labelled_features(tmp_path / 'list.txt', mean_features([tmp_path]))
    assert found.labels.tolist() == [3, 1]
    expected = [values.mean((0, 1, 2)) for values in stored.values()]
    np.testing.assert_allclose(found.values[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ('a.mp4\n', "list.txt, line 1: 'a.mp4' is not a path and the number of a class"),
        ('a.mp4 up\n', "line 1: 'a.mp4 up' is not a path and the number of a class"),
        ('b.mp4 1\n', "none of its videos has features, which are of videos such as 'a.mp4'"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, lines, message):
    (tmp_path / 'list.txt').write_text(lines)
    with pytest.raises(InputError, match=message):
        labelled_features(tmp_path / 'list.txt', {'a.mp4': np.ones(3, 'f')})


def test_too_few_videos():
    few = features(np.ones((4, 2)), [0, 1, 0, 1])
    with pytest.raises(InputError, match='4 videos to train: a probe needs at least 5'):
        probe(few, few)


def test_features_of_two_networks():
    training, test = features(np.ones((6, 2)), [0, 1] * 3), features(np.ones((6, 3)), [0, 1] * 3)
    with pytest.raises(InputError, match='features of 2 and 3 channels: extract both lists with'):
        probe(training, test)

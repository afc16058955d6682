import pytest
import torch

from r21d_plugin import InputError
from r21d_plugin.datasets.video_files import SkippedVideos
from r21d_plugin.inference.linear_probe import ClipFeatures, best_classifier, fit_classifier


@pytest.fixture
def clusters() -> ClipFeatures:
    """Make 40 videos of 3 clips around four points, with channels of very different scale."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 4
    centres = torch.randn(4, 8, generator=generator) * 3
    values = centres[labels][:, None] + torch.randn(40, 3, 8, generator=generator)
    return ClipFeatures(values * torch.logspace(-3, 3, 8) + 5, labels)


def test_the_network_learns_to_tell_classes_apart(clusters):
    classifier, _, accuracy = best_classifier(clusters, clusters, 4)
    assert accuracy == clusters.accuracy(classifier) == 1
    shuffled = clusters._replace(labels=clusters.labels.roll(1))
    assert shuffled.accuracy(classifier) == 0


def test_decay_shrinks_the_weights_of_standardised_features(clusters):
    deviation = clusters.values.flatten(0, 1).std(0)
    norms = [
        (fit_classifier(clusters, 4, decay).weight * deviation).norm().item()
        for decay in (1e-4, 1e-2, 1.0)
    ]
    assert norms[0] > 2 * norms[1] > 4 * norms[2]


def test_weight_of_a_class(clusters):
    few = clusters._replace(labels=torch.zeros(40, dtype=torch.long))
    few.labels[:4] = 1  # four videos like the others
    plain, weighted = (
        fit_classifier(few, 2, 1.0, weight)(few.values).softmax(-1)[..., 1].mean().item()
        for weight in (None, [40 / 72, 40 / 8])
    )
    assert plain == pytest.approx(0.1, abs=0.01)
    assert weighted == pytest.approx(0.5, abs=0.1)


def test_no_video_decodes():
    with pytest.raises(InputError, match='no video of the list decodes'):
        ClipFeatures.of(None, [dict(skipped=['a.mp4: does not decode'])], SkippedVideos())

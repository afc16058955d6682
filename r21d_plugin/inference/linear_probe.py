"""Linear probe: train only the classifier, on features that are computed once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmaction.models.recognizers.base import BaseRecognizer
from torch import Tensor, nn

from .._errors import InputError
from ..datasets.video_files import SkippedVideos
from .features import clip_features

DECAYS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Candidate weight decays; validation accuracy selects one."""


class ClipFeatures(NamedTuple):
    """Features of the clips of videos."""

    values: Tensor  # videos x clips x channels
    labels: Tensor  # videos

    @classmethod
    def of(
        cls, model: BaseRecognizer, videos: Iterable[dict[str, Any]], skipped: SkippedVideos
    ) -> ClipFeatures:
        """Compute the features of packed videos with labels; count those that do not decode."""
        values, labels = [], []
        for packed in videos:
            reasons = packed.get('skipped', [])
            skipped.add(1, len(reasons), reasons)
            if 'inputs' in packed:
                with torch.no_grad():
                    values.append(clip_features(model, packed).cpu())
                labels.append(int(packed['data_samples'].gt_label))
        if not values:
            raise InputError('no video of the list decodes')
        return cls(torch.stack(values), torch.tensor(labels))

    def accuracy(self, classifier: nn.Linear) -> float:
        """Compute the accuracy of a classifier, 0 to 1, by scores averaged over clips."""
        with torch.no_grad():
            scores = classifier(self.values).softmax(-1).mean(1)
        share: float = (scores.argmax(-1) == self.labels).double().mean().item()
        return share


def fit_classifier(
    features: ClipFeatures,
    num_classes: int,
    decay: float,
    class_weight: list[float] | None = None,
) -> nn.Linear:
    """Fit a logistic regression to clip features; return a classifier of unscaled features.

    ``decay`` is the weight decay for features scaled to a standard deviation of 1.
    """
    values = features.values.flatten(0, 1).double()
    labels = features.labels.repeat_interleave(features.values.shape[1])
    weight = None if class_weight is None else torch.tensor(class_weight).double()
    deviation, mean = torch.std_mean(values, dim=0)
    deviation = deviation.clamp_min(1e-6)
    values = (values - mean) / deviation
    classifier = nn.Linear(values.shape[1], num_classes).double()
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    optimizer = torch.optim.LBFGS(
        classifier.parameters(), max_iter=300, line_search_fn='strong_wolfe'
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(classifier(values), labels, weight)
        value = value + decay / 2 * classifier.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        classifier.weight.div_(deviation)
        classifier.bias.sub_(classifier.weight @ mean)
    return classifier.float()


def best_classifier(
    training: ClipFeatures,
    validation: ClipFeatures,
    num_classes: int,
    class_weight: list[float] | None = None,
) -> tuple[nn.Linear, float, float]:
    """Fit with each of :data:`DECAYS` and return the best; on a tie, the largest decay wins.

    Returns the classifier, its weight decay and its validation accuracy, 0 to 1.
    """
    found = []
    for decay in DECAYS:
        classifier = fit_classifier(training, num_classes, decay, class_weight)
        found.append((validation.accuracy(classifier), decay, classifier))
    accuracy, decay, classifier = max(found, key=lambda item: item[:2])
    return classifier, decay, accuracy

"""Metrics for several labels, ordered classes and numbers, using scikit-learn and SciPy.

Each metric compares ``pred_score``, the mean score of a video's clips, with ``gt_label``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Callable

import numpy as np
from mmengine.logging import print_log

from .._packages import import_package
from .._registries import METRICS
from .metric import Found, VideoMetric, check_finite

scikit_learn = partial(import_package, 'sklearn.metrics')


class ScoreMetric(VideoMetric):
    """A metric of the mean scores (V x classes) and the targets (V x ...) of videos.

    Arguments are those of MMEngine's BaseMetric. Raises an InputError if scores are not finite.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        scikit_learn()  # fail now, not after an epoch

    def reduce(self, sample: dict[str, Any]) -> tuple[np.ndarray, ...]:
        """The score and the target of a video; empty if it has no label."""
        check_finite(sample, [sample['pred_score']])
        score, target = (np.asarray(sample[key].cpu(), float) for key in ('pred_score', 'gt_label'))
        return (score, target) if self.is_labelled(target) else ()  # MMEngine drops None

    def is_labelled(self, target: np.ndarray) -> bool:
        """Whether a video has a label."""
        return bool(np.all(target >= 0))

    def measure(self, results: list[tuple[np.ndarray, np.ndarray]]) -> Found:
        """Measure all videos that have a label."""
        return self.measure_all(*map(np.stack, zip(*results))) if results else {}

    def measure_all(self, scores: np.ndarray, targets: np.ndarray) -> Found:
        """Measure scores and targets."""
        raise NotImplementedError

    def names(self, count: int) -> list[str]:
        """Return the names of classes or numbers, by default their indices."""
        given = (self.dataset_meta or {}).get('classes', ())
        return list(given) if len(given) == count else [str(i) for i in range(count)]


@METRICS.register_module()
class MultiLabelMetric(ScoreMetric):
    """``mAP``, ``AUROC`` and ``F1@0.5`` of several labels, and ``AP/NAME`` of each label.

    mAP, AUROC and F1 (macro) are means over labels. Labels without videos are excluded from all
    three; labels that all videos have are excluded from AUROC.

    Args:
        thresholds (Sequence[float]): Score thresholds above which a label is predicted, for F1.
            Defaults to 0.5 only.
        **kwargs: Arguments of MMEngine's BaseMetric.
    """

    tasks = ('several labels',)

    def __init__(self, thresholds: Sequence[float] = (0.5,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.thresholds = thresholds

    def measure_all(self, scores: np.ndarray, targets: np.ndarray) -> Found:
        """Measure scores and 0 or 1, both V x labels."""
        present: Any = np.any(targets, 0)
        if not present.any():  # one video may have none of the labels, but not all
            return {}
        if not present.all():
            absent = [name for name, has in zip(self.names(len(present)), present) if not has]
            print_log(f'no video has these labels, which are ignored: {absent}', 'current')
        ap = {
            f'AP/{name}': float(scikit_learn().average_precision_score(targets[:, i], scores[:, i]))
            for i, name in enumerate(self.names(len(present)))
            if present[i]
        }
        found: Found = dict(mAP=float(np.mean([*ap.values()])))
        if (ranked := present & ~targets.all(0)).any():
            auroc = scikit_learn().roc_auc_score(targets[:, ranked], scores[:, ranked])
            found['AUROC'] = float(auroc)
        for threshold in self.thresholds:
            positive = scores > threshold
            pairs = zip(targets[:, present].T > 0, positive[:, present].T)
            f1 = [scikit_learn().f1_score(*pair, zero_division=0) for pair in pairs]
            found[f'F1@{threshold:g}'] = float(np.mean(f1))
        return {**found, **ap}


@METRICS.register_module()
class OrdinalMetric(ScoreMetric):
    """``video@1``, ``MAE`` in classes and quadratically weighted ``kappa`` of ordered classes.

    MAE and kappa use the median class of the scores; video@1 uses the class with the best score.
    """

    tasks = ('ordered classes',)

    def measure_all(self, scores: np.ndarray, targets: np.ndarray) -> Found:
        """Compare probabilities, V x classes, with labels, V x 1."""
        labels = targets[:, 0].astype(int)
        median = (scores.cumsum(1) < 0.5).sum(1)
        kappa = scikit_learn().cohen_kappa_score(
            labels, median, labels=range(scores.shape[1]), weights='quadratic'
        )
        return {
            'video@1': float((scores.argmax(1) == labels).mean()),
            'MAE': float(np.abs(median - labels).mean()),
            'kappa': float(kappa),
        }


@METRICS.register_module()
class RegressionMetric(ScoreMetric):
    """``MAE``, ``RMSE`` and ``R2`` of numbers, in their unit, with 95% intervals.

    For several numbers, the metrics are named ``MAE/NAME`` and so on, and ``MAE`` is the mean.
    Intervals such as ``MAE_95`` (lower and upper bound) are bootstrap percentiles over videos.

    Args:
        resamples (int): Number of bootstrap resamples. Defaults to 1000; 0: no intervals.
        **kwargs: Arguments of MMEngine's BaseMetric.
    """

    tasks = ('numbers',)

    def __init__(self, resamples: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.resamples = resamples

    def is_labelled(self, target: np.ndarray) -> bool:
        """Whether the numbers of a video are known."""
        return bool(np.isfinite(target).all())

    def measure_all(self, scores: np.ndarray, targets: np.ndarray) -> Found:
        """Compare numbers with their targets, both V x numbers."""
        count = scores.shape[1]
        suffixes = [f'/{name}' for name in self.names(count)] if count > 1 else ['']
        found: Found = {}
        for name, distance in DISTANCES.items():
            values = []
            for suffix, x, y in zip(suffixes, scores.T, targets.T):
                values.append(distance(y, x))
                found[name + suffix] = values[-1]
                if self.resamples and len(x) > 1:
                    found[f'{name}_95{suffix}'] = self._interval(distance, y, x)
            found[name] = float(np.mean(values))
        return found

    def _interval(self, distance: Callable[..., Any], *pair: np.ndarray) -> list[float]:
        rng = np.random.default_rng(0)
        samples = rng.integers(0, len(pair[0]), (self.resamples, len(pair[0])))
        values = [distance(*(x[sample] for x in pair)) for sample in samples]
        known = [value for value in values if np.isfinite(value)] or [float('nan')]
        return [float(x) for x in np.percentile(known, (2.5, 97.5))]


def rmse(targets: np.ndarray, values: np.ndarray) -> float:
    """Compute the root mean squared error."""
    return float(np.sqrt(scikit_learn().mean_squared_error(targets, values)))


def r2(targets: np.ndarray, values: np.ndarray) -> float:
    """Compute the coefficient of determination; NaN if all targets are equal."""
    return float(scikit_learn().r2_score(targets, values)) if np.ptp(targets) else float('nan')


DISTANCES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = dict(
    MAE=lambda targets, values: float(scikit_learn().mean_absolute_error(targets, values)),
    RMSE=rmse,
    R2=r2,
)

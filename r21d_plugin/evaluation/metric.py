"""The base class of the metrics of whole videos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Dict, List, Union

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from .._errors import InputError

Found = Dict[str, Union[float, List[float]]]


class VideoMetric(BaseMetric):
    """A metric of the scores and labels of tested videos.

    A subclass reduces each video to what it needs, and measures all of them. Videos without a label
    are not counted. Arguments are those of MMEngine's BaseMetric.

    Attributes:
        tasks (tuple[str, ...]): Names of the tasks that it measures
            (:mod:`~r21d_plugin.models.tasks`).
    """

    default_prefix = ''
    tasks: tuple[str, ...] = ()

    def process(self, data_batch: object, data_samples: Sequence[dict[str, Any]]) -> None:
        """Reduce a batch of videos."""
        self.results += [self.reduce(sample) for sample in data_samples]

    def compute_metrics(self, results: list[Any]) -> Found:
        """Measure the videos of all ranks; an InputError if there are none.

        A list without labels has no metrics.
        """
        if not results:
            raise InputError('no video was tested: none decodes, or the annotation file is empty')
        found = self.measure([result for result in results if result])
        if not found:
            print_log('no metrics: the videos of the annotation file have no labels', 'current')
        return found

    def reduce(self, sample: dict[str, Any]) -> Any:
        """Reduce a video; nothing if it has no label."""
        raise NotImplementedError

    def measure(self, results: list[Any]) -> Found:
        """Measure the videos that have a label, of which there may be none."""
        raise NotImplementedError


def check_finite(sample: dict[str, Any], scores: Iterable[Tensor]) -> None:
    """Raise an InputError that names a sample if one of its scores is not finite."""
    if not all(values.isfinite().all() for values in scores):
        name = sample.get('filename') or sample.get('frame_dir') or 'a video'
        raise InputError(
            f'{name}: its scores are not finite: training may have diverged: test an earlier '
            'checkpoint, or train with a lower learning rate'
        )

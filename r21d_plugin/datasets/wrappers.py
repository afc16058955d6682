"""The datasets inside MMEngine's and PyTorch's wrappers of datasets."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from mmengine.dataset import ConcatDataset, RepeatDataset


def inner_datasets(dataset: Any) -> list[Any]:
    """List the datasets that read videos, of a dataset or of one that wraps others.

    Wrappers hold others in an attribute ``dataset`` (RepeatDataset, ClassBalancedDataset, Subset)
    or ``datasets`` (ConcatDataset), and may hold wrappers. A dataset that is no wrapper is itself.
    Their configs have the same names, so this lists those of a ``ConfigDict`` too.
    """
    if isinstance(inner := getattr(dataset, 'datasets', None), (list, tuple)):
        return [found for part in inner for found in inner_datasets(part)]
    if (inner := getattr(dataset, 'dataset', None)) is not None:
        return inner_datasets(inner)
    return [dataset]


def labels_through_concat(self: ConcatDataset, idx: int) -> list[int]:
    """``get_cat_ids`` for MMEngine's ConcatDataset."""
    part = bisect_right(self.cumulative_sizes, idx)
    start = self.cumulative_sizes[part - 1] if part else 0
    labels: list[int] = self.datasets[part].get_cat_ids(idx - start)
    return labels


def labels_through_repeat(self: RepeatDataset, idx: int) -> list[int]:
    """``get_cat_ids`` for MMEngine's RepeatDataset."""
    labels: list[int] = self.dataset.get_cat_ids(idx % len(self.dataset))
    return labels

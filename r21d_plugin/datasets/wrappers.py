"""Access to the datasets inside MMEngine's and PyTorch's dataset wrappers."""

from __future__ import annotations

from typing import Any


def inner_datasets(dataset: Any) -> list[Any]:
    """List the innermost datasets of a dataset or dataset wrapper.

    Wrappers hold other datasets in an attribute ``dataset`` (RepeatDataset, ClassBalancedDataset,
    Subset) or ``datasets`` (ConcatDataset), and may be nested. A dataset that is not a wrapper is
    returned as the only item. Configs use the same names, so a ``ConfigDict`` works too.
    """
    if isinstance(inner := getattr(dataset, 'datasets', None), (list, tuple)):
        return [found for part in inner for found in inner_datasets(part)]
    if (inner := getattr(dataset, 'dataset', None)) is not None:
        return inner_datasets(inner)
    return [dataset]

"""The datasets inside MMEngine's and PyTorch's wrappers of datasets."""

from typing import Any


def inner_datasets(dataset: Any) -> list[Any]:
    """List the datasets that read videos, of a dataset or of one that wraps others.

    Wrappers hold others in an attribute ``dataset`` (RepeatDataset, ClassBalancedDataset, Subset)
    or ``datasets`` (ConcatDataset), and may hold wrappers. A dataset that is no wrapper is itself.
    Their configs have the same names, so this lists those of a ``ConfigDict`` too.
    """
    if isinstance(inner := getattr(dataset, 'datasets', None), list | tuple):
        return [found for part in inner for found in inner_datasets(part)]
    if (inner := getattr(dataset, 'dataset', None)) is not None:
        return inner_datasets(inner)
    return [dataset]

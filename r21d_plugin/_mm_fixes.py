"""Repairs of MMEngine for the processes of our own commands.

Checkpoints are read safely and written atomically, and wrappers of datasets pass labels on.

:func:`apply` changes the process that calls it; importing this package does not call it.
"""

from functools import cache
from pathlib import Path

from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader

from ._atomic import atomic_write
from .weights import load_checkpoint


class AtomicBackend(LocalBackend):
    """MMEngine's backend of local files, which leaves half a file where a run is killed; atomic."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; raise an InputError if they cannot be written."""
        with atomic_write(Path(filepath), parents=True) as partial:
            partial.write_bytes(obj)


@cache
def apply() -> None:
    """Repair this process, once.

    MMEngine 0.10.7 cannot load its checkpoints with torch 2.6, and its ClassBalancedDataset asks
    what it wraps for labels, which its other wrappers do not know.
    """
    from .datasets.wrappers import labels_through_concat, labels_through_repeat

    for prefixes in ('', ('http://', 'https://')):
        CheckpointLoader.register_scheme(prefixes, load_checkpoint, force=True)
    register_backend('local', AtomicBackend, force=True, prefixes='')
    for wrapper, labels in (
        (ConcatDataset, labels_through_concat),
        (RepeatDataset, labels_through_repeat),
    ):
        if not hasattr(wrapper, 'get_cat_ids'):
            wrapper.get_cat_ids = labels

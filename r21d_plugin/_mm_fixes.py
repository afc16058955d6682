"""Repairs of MMEngine for the processes of our own commands: how checkpoints are read and written.

:func:`apply` changes the process that calls it; importing this package does not call it.
"""

from functools import cache
from pathlib import Path

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
    """Repair this process, once: MMEngine 0.10.7 cannot load its checkpoints with torch 2.6."""
    for prefixes in ('', ('http://', 'https://')):
        CheckpointLoader.register_scheme(prefixes, load_checkpoint, force=True)
    register_backend('local', AtomicBackend, force=True, prefixes='')

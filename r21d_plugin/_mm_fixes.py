"""Repairs of MMEngine for the processes of our own commands.

:func:`apply` changes the process that calls it; importing this package does not call it.
"""

from functools import cache
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader

from ._atomic import atomic_write
from .weights import load_checkpoint


class AtomicBackend(LocalBackend):
    """MMEngine's backend of local files, with atomic writes.

    MMEngine 0.10.7 writes checkpoints under their final names: half of one stays where a run is
    killed or a disk is full.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            InputError: If they cannot be written.
        """
        with atomic_write(Path(filepath), parents=True) as partial:
            partial.write_bytes(obj)


@cache
def apply() -> None:
    """Repair this process, once.

    Checkpoints are loaded by :func:`r21d_plugin.weights.load_checkpoint`, as MMEngine 0.10.7 calls
    ``torch.load`` in a way that torch 2.6 and later refuse for MMEngine's own checkpoints, and
    written atomically.
    """
    CheckpointLoader.register_scheme(prefixes='', loader=load_checkpoint, force=True)
    CheckpointLoader.register_scheme(
        prefixes=('http://', 'https://'), loader=load_checkpoint, force=True
    )
    register_backend('local', AtomicBackend, force=True, prefixes='')

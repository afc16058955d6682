"""Patches of MMEngine and MMAction2 for the processes of our own commands.

:func:`apply` patches the calling process; importing this package does not call it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader

from ._atomic import atomic_write
from .weights import load_checkpoint


class AtomicBackend(LocalBackend):
    """MMEngine's local backend with atomic writes: a killed run leaves no partial file."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; raise an InputError if they cannot be written."""
        with atomic_write(Path(filepath), parents=True) as partial:
            partial.write_bytes(obj)


def shift_hue(img: np.ndarray, factor: float) -> np.ndarray:
    """Shift the hue of an RGB image by ``factor`` (-0.5 to 0.5) times 255, in OpenCV's 180 hues.

    MMAction2 adds a negative number to uint8 for this, which NumPy 2 refuses.
    """
    hue, *others = cv2.split(cv2.cvtColor(np.uint8(img.clip(0, 255)), cv2.COLOR_RGB2HSV))
    shifted = np.uint8((np.int16(hue) + int(factor * 255)) % 180)
    rgb: np.ndarray = cv2.cvtColor(cv2.merge([shifted, *others]), cv2.COLOR_HSV2RGB)
    return rgb.astype(np.float32)


def load_from_disk(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load a checkpoint; MMEngine's log shows the end of this function's name."""
    return load_checkpoint(filename, map_location)


def load_from_web(filename: str, map_location: Any = None) -> dict[str, Any]:
    """Load a checkpoint from a URL."""
    return load_checkpoint(filename, map_location)


@lru_cache(maxsize=None)
def apply() -> None:
    """Patch this process; repeated calls have no effect.

    MMEngine 0.10.7 cannot load its checkpoints with torch 2.6, and leaves partial files when a run
    is killed. MMAction2 1.2's ColorJitter and mean average precision fail with NumPy 2.
    """
    from mmaction.datasets.transforms import ColorJitter

    CheckpointLoader.register_scheme('', load_from_disk, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), load_from_web, force=True)
    register_backend('local', AtomicBackend, force=True, prefixes='')
    ColorJitter.adjust_hue = staticmethod(shift_hue)
    for old, new in dict(NAN=np.nan, Inf=np.inf).items():
        setattr(np, old, new)

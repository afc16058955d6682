"""Read class names from checkpoints, where MMEngine stores them: ``meta.dataset_meta.classes``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from .public import PublicWeights


def classes_of(checkpoint: Mapping[str, Any], source: str = '') -> tuple[str, ...]:
    """Return the class names of a checkpoint, in order; empty if it has none.

    Args:
        checkpoint (Mapping): The result of :func:`load_checkpoint`, or of ``torch.load`` for a file
            of MMEngine.
        source (str): File or URL of the checkpoint. Public weights get the published names.
            Defaults to ``''``.
    """
    found: Any = checkpoint
    for key in ('meta', 'dataset_meta', 'classes'):
        found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, (list, tuple)) and found and all(isinstance(x, str) for x in found):
        return tuple(found)
    file = file_name(source)
    published = (weights.value for weights in PublicWeights if file == file_name(weights.value.url))
    return next((tuple(each.meta['categories'] or ()) for each in published), ())


def file_name(source: str) -> str:
    """Return the file name of a path, or of a URL after its download."""
    return Path(unquote(urlparse(source).path)).name

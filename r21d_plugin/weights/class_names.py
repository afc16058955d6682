"""Names of classes in checkpoints, where MMEngine has them: ``meta.dataset_meta.classes``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from .public import PublicWeights


def classes_of(checkpoint: Mapping[str, Any], source: str = '') -> tuple[str, ...]:
    """Names of the classes that a checkpoint was trained on, in order; empty if it has none.

    Args:
        checkpoint (Mapping): What :func:`load_checkpoint` returns, or ``torch.load`` of a file of
            MMEngine.
        source (str): Its file or URL. If these are public weights, the names are the published
            ones. Defaults to ``''``.
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
    """Name of the file of a path, or of a URL once it is downloaded."""
    return Path(unquote(urlparse(source).path)).name

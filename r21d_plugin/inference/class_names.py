"""Find the class names of a config and a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .._errors import InputError
from ..datasets.label_maps import find_label_map, read_label_map
from ..datasets.wrappers import inner_datasets


def class_names(cfg: Config, *given: Any) -> list[str]:
    """Return the class names (:func:`known_names`), or class numbers if there are no names."""
    return known_names(cfg, *given) or [str(i) for i in range(cfg.model.cls_head.num_classes)]


def known_names(
    cfg: Config, checkpoint: str = '', stored: Sequence[str] = (), path: Path | None = None
) -> list[str]:
    """Return the class names; an empty list if they are unknown.

    Uses the first of these sources that exists: the label map ``path``; the names ``stored`` in a
    checkpoint (:func:`~r21d_plugin.weights.classes_of`); ``metainfo.classes`` of the test dataset
    (names, or a file of names); the label map beside the dataset's annotation file. Raises an
    InputError if a label map is missing, unreadable or ambiguous, or its number of names is wrong.
    """
    count = cfg.model.cls_head.num_classes
    dataset = inner_datasets(cfg.test_dataloader.dataset)[0]
    if not path and not stored:
        ann_file = Path(dataset.get('data_root') or '', dataset.get('ann_file') or '')
        given = (dataset.get('metainfo') or {}).get('classes')
        return list(find_label_map(ann_file, count, given))
    names = read_label_map(path) if path else stored
    if len(names) != count:
        raise InputError(
            f'{path or checkpoint}: {len(names)} names, and the config has {count} classes: give '
            "its dataset's label map with --labels"
        )
    return list(names)

"""Names of the classes of a config."""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.config import Config

from .._errors import InputError
from ..weights.public import kinetics_400


def class_names(cfg: Config, path: Path | None = None) -> list[str]:
    """Names of the classes of a config.

    They are read from a label map, a name a line: ``path``, or ``label_map_<dataset>.txt`` or
    ``classes.txt`` beside the annotation file of the test. Without one, they are the published
    names for Kinetics-400, and numbers for other datasets.

    Raises:
        InputError: If the label map is missing, unreadable or another dataset's.
    """
    from ..datasets.wrappers import inner_datasets  # not above: that takes seconds

    classes = cfg.model.cls_head.num_classes
    dataset_cfg = inner_datasets(cfg.test_dataloader.dataset)[0]
    folder, annotations = os.path.split(dataset_cfg.get('ann_file', ''))
    dataset = Path(annotations).stem.split('_')[0]
    if path is None:
        found = (Path(folder, name) for name in (f'label_map_{dataset}.txt', 'classes.txt'))
        path = next((file for file in found if file.is_file()), None)
        if path is None:
            published = kinetics_400() if dataset == 'kinetics400' else []
            return published if len(published) == classes else [str(i) for i in range(classes)]
    names = read_label_map(path)
    if len(names) != classes:
        raise InputError(
            f"{path}: {len(names)} names, and the config has {classes} classes: give its dataset's "
            'label map with --labels'
        )
    return names


def read_label_map(path: Path) -> list[str]:
    """Read the names of classes, one a line; an InputError if there is no such file."""
    from ..datasets.text_files import read_lines

    try:
        return [name for name, _ in read_lines(path)]
    except InputError as error:
        reason = str(error).replace(f'{path}: ', '', 1)
        raise InputError(
            f'{path}: no readable label map, a name a line in UTF-8: {reason}'
        ) from error

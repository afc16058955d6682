"""Video dataset that checks its annotation file."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from itertools import chain
from math import nan
from pathlib import Path
from typing import Any

import torch
from mmaction.datasets import VideoDataset
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.fileio import exists, get_local_path
from mmengine.logging import print_log

from .._errors import InputError, VideoInputError, check_whole
from .._registries import DATASETS
from .checked_pipeline import CheckedPipeline
from .label_maps import find_label_map, read_label_map
from .pipelines import DECODERS, OPENERS
from .text_files import quote, read_label, read_lines, read_number
from .video_facts import counted_frames
from .video_index import CountedFrames

TARGETS = ('class', 'labels', 'numbers')


@DATASETS.register_module('VideoDataset')  # the name that MMAction2's check_videos.py requires
@DATASETS.register_module()
class LabelledVideoDataset(VideoDataset):
    """MMAction2's VideoDataset with errors that name the invalid line.

    Paths may contain spaces. The format of lines depends on ``targets``:

    ====================  ==========================  =============================================
    ``targets``           line                        ``label`` of a sample
    ====================  ==========================  =============================================
    ``'class'``           ``path label``              the label
    ``'labels'``          ``path label label ...``    a vector of ``num_classes`` zeros and ones;
                          or ``path -``               all zeros for ``-``
    ``'numbers'``         ``path number number ...``  ``num_classes`` numbers, float32
    ====================  ==========================  =============================================

    With ``test_mode``, a list for predictions may have no labels, only a path on each line. Labels
    are then -1, zeros or NaN, and there are no metrics.

    Frame numbers that ``prepare.py`` counted are read from the table beside the list
    (:mod:`~r21d_plugin.datasets.video_facts`). The class names, ``metainfo['classes']``, which
    MMEngine stores in checkpoints, come from the argument ``metainfo`` or else from the label map
    beside the list (:func:`~r21d_plugin.datasets.label_maps.find_label_map`).

    Args:
        ann_file (str): Annotation file.
        num_classes (int): Number of classes, at least 1, with labels 0 to num_classes - 1; or the
            number of regressed numbers.
        targets (str, optional): Format of lines, see above. Defaults to None: ``'labels'`` with
            MMAction2's argument ``multi_class``, else ``'class'``.
        on_error (str): How to handle a video that does not decode. ``'raise'`` ends the run;
            ``'skip'`` replaces the video by a random one in training, and omits it from a test
            (:class:`~r21d_plugin.engine.SkippedVideosHook`). Defaults to ``'raise'``.
        max_bad_fraction (float): Largest fraction of videos that may be skipped, 0 to 1. Defaults
            to 0.05.
        **kwargs: Further arguments of VideoDataset. If ``data_prefix['video']`` is not empty, all
            paths have to be below it. Spaces around a ``delimiter`` are removed from labels.
    """

    def __init__(
        self,
        ann_file: str,
        num_classes: int,
        targets: str | None = None,
        on_error: str = 'raise',
        max_bad_fraction: float = 0.05,
        multi_class: bool = False,
        **kwargs: Any,
    ) -> None:
        self.targets = targets or ('labels' if multi_class else 'class')
        if self.targets not in TARGETS or multi_class > (self.targets == 'labels'):
            given = f'targets={targets!r}' + (' and multi_class=True' if multi_class else '')
            raise InputError(f'{given}: use targets={" or ".join(map(repr, TARGETS))}')
        if on_error not in ('raise', 'skip'):
            raise InputError(f"on_error={on_error!r}: use 'raise' or 'skip'")
        check_whole('num_classes', num_classes)
        if not isinstance(max_bad_fraction, (int, float)) or not 0 <= max_bad_fraction <= 1:
            raise InputError(f'max_bad_fraction={max_bad_fraction!r}: use a number from 0 to 1')
        metainfo = kwargs.get('metainfo') or {}
        if isinstance(path := metainfo.get('classes'), str):  # MMEngine would keep its raw lines
            kwargs['metainfo'] = dict(metainfo, classes=read_label_map(path))
        self.on_error, self.max_bad_fraction = on_error, max_bad_fraction
        several = self.targets == 'labels'
        super().__init__(ann_file, num_classes=num_classes, multi_class=several, **kwargs)
        self.pipeline: CheckedPipeline = CheckedPipeline(self.pipeline.transforms)
        if on_error == 'skip':
            self._check_readers()
        self.classes = self._find_classes()

    @property
    def metainfo(self) -> dict[str, Any]:
        """Metadata of the dataset: ``classes``, a tuple of names, if they are known."""
        return dict(super().metainfo, **(dict(classes=self.classes) if self.classes else {}))

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Run the pipeline on a video; raise an InputError if no replacement decodes either.

        With ``on_error='skip'``, the result has ``skipped``, a line for each video that did not
        decode; in a test, the result of such a video has only this key.
        """
        if self.on_error == 'raise':
            return super().__getitem__(idx)
        skipped: list[str] = []
        while len(skipped) <= self.max_refetch:
            try:
                return dict(self.prepare_data(idx), skipped=skipped)
            except VideoInputError as error:
                skipped.append(str(error))
            if self.test_mode:
                return dict(skipped=skipped)
            idx = self._rand_another()
        count = f'{len(skipped)} videos in a row do not decode'
        raise InputError(f'{self.ann_file}: {count}: {skipped[-1]}')

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Give ``filename`` and ``label``."""
        info = super().get_data_info(idx)
        if self.targets == 'numbers':  # use a tensor, because MMAction2 rounds other types
            info['label'] = torch.tensor(info['label'], dtype=torch.float32)
        return info

    def get_cat_ids(self, idx: int) -> list[int]:
        """List the labels of a video for ClassBalancedDataset; an empty list for numbers."""
        label = BaseDataset.get_data_info(self, idx)['label']  # not yet converted to a vector
        if self.targets == 'numbers':
            return []
        return label if self.multi_class else [label] if label >= 0 else []

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read ``filename`` and ``label`` of every video; a missing label is -1 or an empty list.

        Videos whose frames had to be counted also have ``counted``.
        """
        if not exists(self.ann_file):
            raise InputError(f'{self.ann_file}: no such annotation file: run r21d prepare first')
        with get_local_path(self.ann_file) as path:
            lines = read_lines(Path(path), self.ann_file)
            if (first := next(lines, None)) is None:
                raise InputError(f'{self.ann_file}: no videos in this list')
            labelled = not self.test_mode or self._split(first[0])[1] is not None
            counted = counted_frames(self.ann_file)
            return [self._parse(*line, labelled, counted) for line in chain([first], lines)]

    def _check_readers(self) -> None:
        """Warn if MMAction2 reads the videos: a damaged one is not skipped then."""
        for step in self.pipeline.transforms:
            if (name := type(step).__name__) in {*OPENERS, *DECODERS}:
                print_log(
                    f"{self.ann_file}: on_error='skip' has no effect with {name}: read by "
                    "r21d_plugin.OpenVideo and r21d_plugin.ReadFrames, or set on_error='raise'",
                    'current',
                    logging.WARNING,
                )

    def _find_classes(self) -> tuple[str, ...]:
        given = super().metainfo.get('classes')
        try:
            return find_label_map(self.ann_file, self.num_classes, given)
        except InputError as error:
            if given:
                raise
            print_log(f'no class names: {error}', 'current', logging.WARNING)
            return ()

    def _split(self, line: str) -> tuple[str, list[Any] | None]:
        """Split a line into its path and its labels or numbers (None if it has none)."""
        words = line.split(self.delimiter)
        if self.targets == 'labels' and len(words) > 1 and words[-1].strip() == '-':
            return (self.delimiter or ' ').join(words[:-1]).rstrip(), []
        most = {'class': 1, 'numbers': self.num_classes}.get(self.targets, len(words))
        found: list[Any] = []
        while len(words) > 1 and len(found) < most:
            value = (read_number if self.targets == 'numbers' else read_label)(words[-1].strip())
            if value is None:
                break
            found.insert(0, value)
            words.pop()
        return (self.delimiter or ' ').join(words).rstrip(), found or None

    def _parse(
        self, line: str, where: str, labelled: bool, counted: dict[str, CountedFrames]
    ) -> dict[str, Any]:
        filename, labels = self._split(line)
        numbers = self.targets == 'numbers'
        if labels is not None and not labelled:
            raise InputError(f'{where}: {quote(line)} has a label, and the first line has none')
        if (labelled and labels is None) or (numbers and 0 < len(labels or ()) < self.num_classes):
            wanted = f'{self.num_classes} numbers' if numbers else 'a label'
            raise InputError(f'{where}: {quote(line)} is not a path and {wanted}')
        if labels and not numbers and max(labels) >= self.num_classes:
            bounds = f'the config has {self.num_classes} classes, 0 to {self.num_classes - 1}'
            raise InputError(f'{where}: label {max(labels)} is out of range: {bounds}')
        folder = self.data_prefix.get('video') or ''
        outside = os.path.normpath(filename).split(os.sep)[0] == os.pardir
        if folder and (outside or os.path.isabs(filename)):
            remedy = "give paths relative to it, or any and data_prefix=dict(video='')"
            raise InputError(f'{where}: {quote(filename)} is not below {folder}: {remedy}')
        label: int | list[Any] = labels or []
        if self.targets == 'class':
            label = labels[0] if labels else -1
        elif numbers:
            label = labels or [nan] * self.num_classes
        known = dict(counted=counted[filename]) if filename in counted else {}
        return dict(filename=os.path.join(folder, filename), label=label, **known)


def collate_without_skipped(
    items: Sequence[dict[str, Any]],
    collate: Callable[[Sequence[dict[str, Any]]], dict[str, Any]] = pseudo_collate,
) -> dict[str, Any]:
    """Collate the videos that decode: ``inputs``, ``data_samples`` and ``skipped``.

    Items come from a dataset with ``on_error='skip'``, alone or with others in a wrapper. Each
    resulting list may be empty. ``collate`` builds the batch of videos that decode.
    """
    skipped = [line for item in items for line in item.pop('skipped', [])]
    decoded = [item for item in items if item]
    batch = collate(decoded) if decoded else dict(inputs=[], data_samples=[])
    return dict(batch, skipped=skipped)

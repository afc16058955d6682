"""Video datasets whose annotation file is checked as it is read."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmaction.datasets import VideoDataset
from mmengine.dataset import pseudo_collate
from mmengine.fileio import exists, get_local_path

from .._errors import InputError, VideoInputError
from .._registries import DATASETS
from .checked_pipeline import CheckedPipeline
from .text_files import quote, read_lines


@DATASETS.register_module('VideoDataset')  # which MMAction2's check_videos.py asks for
@DATASETS.register_module()
class LabelledVideoDataset(VideoDataset):
    """MMAction2's VideoDataset, naming the line that is wrong.

    Reads ``path label`` a line, paths with spaces included, or with ``multi_class`` ``path label
    label ...``, where each label is an equal part of the target in training.

    Args:
        ann_file (str): Annotation file.
        num_classes (int): Classes; labels are 0 to num_classes - 1.
        multi_class (bool): Whether videos may have several labels. Defaults to False.
        on_error (str): What a video that does not decode does: ``'raise'`` ends the run; ``'skip'``
            replaces it by a random one in training, and leaves it out of a test
            (:class:`~r21d_plugin.engine.SkippedVideosHook`). Defaults to ``'raise'``.
        max_bad_fraction (float): Part of the videos read that may be skipped. Defaults to 0.05.
        **kwargs: Further arguments of VideoDataset. If ``data_prefix['video']`` is not empty, all
            paths have to be below it.
    """

    def __init__(
        self,
        ann_file: str,
        num_classes: int,
        multi_class: bool = False,
        on_error: str = 'raise',
        max_bad_fraction: float = 0.05,
        **kwargs,
    ) -> None:
        if on_error not in ('raise', 'skip'):
            raise InputError(f"on_error={on_error!r}: use 'raise' or 'skip'")
        self.on_error, self.max_bad_fraction = on_error, max_bad_fraction
        super().__init__(ann_file, num_classes=num_classes, multi_class=multi_class, **kwargs)
        self.pipeline: CheckedPipeline = CheckedPipeline(self.pipeline.transforms)

    def __getitem__(self, idx: int) -> dict:
        """Run the pipeline on a video; an InputError if neither it nor one in its place decodes.

        With ``on_error='skip'`` add ``skipped``, a line for each video that did not decode; in a
        test it is all there is then.
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

    def get_data_info(self, idx: int) -> dict:
        """Give ``filename`` and ``label``, several labels of training as parts of 1."""
        info = super().get_data_info(idx)
        if self.multi_class and not self.test_mode:
            info['label'] = info['label'] / info['label'].sum()
        return info

    def load_data_list(self) -> list[dict]:
        """Read ``filename`` and ``label`` of every video from the annotation file."""
        if not exists(self.ann_file):
            raise InputError(f'{self.ann_file}: no such annotation file: prepare the dataset first')
        with get_local_path(self.ann_file) as path:
            videos = [self._parse(*line) for line in read_lines(Path(path), self.ann_file)]
        if not videos:
            raise InputError(f'{self.ann_file}: no videos in this list')
        return videos

    def _parse(self, line: str, where: str) -> dict:
        words = line.split(self.delimiter)
        labels: list[int] = []
        while len(words) > 1 and (self.multi_class or not labels):
            if not words[-1].isdecimal() or len(words[-1]) > 9:
                break
            labels.insert(0, int(words.pop()))
        filename = (self.delimiter or ' ').join(words).rstrip()
        if not labels:
            raise InputError(f'{where}: {quote(line)} is not a path and a label')
        if max(labels) >= self.num_classes:
            bounds = f'the config has {self.num_classes} classes, 0 to {self.num_classes - 1}'
            raise InputError(f'{where}: label {max(labels)} is out of range: {bounds}')
        folder = self.data_prefix.get('video') or ''
        outside = os.path.normpath(filename).split(os.sep)[0] == os.pardir
        if folder and (outside or os.path.isabs(filename)):
            remedy = "give paths relative to it, or any and data_prefix=dict(video='')"
            raise InputError(f'{where}: {quote(filename)} is not below {folder}: {remedy}')
        label = labels if self.multi_class else labels[0]
        return dict(filename=os.path.join(folder, filename), label=label)


def collate_without_skipped(items: Sequence[dict]) -> dict:
    """Put the videos that decode into a batch of ``inputs``, ``data_samples`` and ``skipped``.

    Items are those of a dataset with ``on_error='skip'``; each list may be empty.
    """
    skipped = [line for item in items for line in item.pop('skipped')]
    decoded = [item for item in items if item]
    batch = pseudo_collate(decoded) if decoded else dict(inputs=[], data_samples=[])
    return dict(batch, skipped=skipped)

"""Video datasets whose annotation file is checked as it is read."""

import os

from mmaction.datasets import VideoDataset
from mmengine.fileio import exists, list_from_file

from ..errors import InputError
from ..registry import DATASETS
from .stored_flow import OpenStoredFlow


@DATASETS.register_module()
class LabelledVideoDataset(VideoDataset):
    """MMAction2's VideoDataset, naming the line that is wrong.

    Reads the same annotation files, ``path label`` a line, paths with spaces
    included, or with ``multi_class`` ``path label label ...``. Where a video has
    several labels, each is an equal part of what its clips are trained on.

    Args:
        ann_file (str): Annotation file.
        num_classes (int): Classes; labels are 0 to num_classes - 1.
        multi_class (bool): Whether videos may have several labels. Defaults to
            False.
        **kwargs: Further arguments of VideoDataset.

    Raises:
        InputError: If the annotation file is missing or a line of it is not a
            path and a label in range.
    """

    def __init__(
        self, ann_file: str, num_classes: int, multi_class: bool = False, **kwargs
    ) -> None:
        super().__init__(ann_file, num_classes=num_classes, multi_class=multi_class, **kwargs)

    def get_data_info(self, idx: int) -> dict:
        """Give what is known of a video.

        Returns:
            dict: ``filename`` and ``label``, with ``multi_class`` a vector of
            num_classes: in a test 1 for each of its labels, in training parts
            of 1.
        """
        info = super().get_data_info(idx)
        if self.multi_class and not self.test_mode:
            info['label'] = info['label'] / info['label'].sum()
        return info

    def load_data_list(self) -> list[dict]:
        """Read the annotation file.

        Returns:
            list[dict]: ``filename`` and ``label`` of every video.
        """
        if not exists(self.ann_file):
            raise InputError(f'{self.ann_file}: no such annotation file: prepare the dataset first')
        lines = list_from_file(self.ann_file)
        videos = [self._parse(line, i) for i, line in enumerate(lines, start=1) if line.strip()]
        for transform in self.pipeline.transforms:
            if isinstance(transform, OpenStoredFlow):
                transform.check_videos([video['filename'] for video in videos])
        return videos

    def _parse(self, line: str, number: int) -> dict:
        where = f'{self.ann_file}, line {number}'
        words = line.strip().split(self.delimiter)
        labels: list[int] = []
        while len(words) > 1 and words[-1].isdecimal() and (self.multi_class or not labels):
            labels.insert(0, int(words.pop()))
        filename = (self.delimiter or ' ').join(words).rstrip()
        if not labels:
            raise InputError(f'{where}: {line.strip()!r} is not a path and a label')
        if max(labels) >= self.num_classes:
            raise InputError(
                f'{where}: label {max(labels)} is out of range: the config has {self.num_classes} '
                f'classes, 0 to {self.num_classes - 1}'
            )
        folder = self.data_prefix.get('video') or ''
        label = labels if self.multi_class else labels[0]
        return dict(filename=os.path.join(folder, filename), label=label)

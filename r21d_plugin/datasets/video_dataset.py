"""Video datasets whose annotation file is checked as it is read."""

from pathlib import Path

from mmaction.datasets import VideoDataset
from mmengine.fileio import exists, list_from_file

from ..errors import InputError
from ..registry import DATASETS
from .stored_flow import OpenStoredFlow


@DATASETS.register_module()
class LabelledVideoDataset(VideoDataset):
    """MMAction2's VideoDataset, naming the line that is wrong.

    Reads the same annotation files, ``path label`` a line, paths with spaces
    included.

    Args:
        ann_file (str): Annotation file.
        num_classes (int): Classes; labels are 0 to num_classes - 1.
        **kwargs: Further arguments of VideoDataset.

    Raises:
        InputError: If the annotation file is missing or a line of it is not a
            path and a label in range.
    """

    def __init__(self, ann_file: str, num_classes: int, **kwargs) -> None:
        super().__init__(ann_file, num_classes=num_classes, **kwargs)

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
        filename, _, label = line.strip().rpartition(self.delimiter)
        where = f'{self.ann_file}, line {number}'
        if not filename or not label.isdecimal():
            raise InputError(f'{where}: {line.strip()!r} is not a path and a label')
        if int(label) >= self.num_classes:
            raise InputError(
                f'{where}: label {label} is out of range: the config has {self.num_classes} '
                f'classes, 0 to {self.num_classes - 1}'
            )
        folder = self.data_prefix.get('video') or ''
        return dict(filename=str(Path(folder, filename.rstrip())), label=int(label))

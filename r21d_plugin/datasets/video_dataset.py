"""Video datasets whose annotation file is checked as it is read."""

import os
from pathlib import Path

from mmaction.datasets import VideoDataset
from mmengine.fileio import exists, get_local_path

from .._errors import InputError, VideoInputError
from .._registries import DATASETS
from .text_files import quote, read_lines


@DATASETS.register_module()
class LabelledVideoDataset(VideoDataset):
    """MMAction2's VideoDataset, naming the line that is wrong.

    Reads the same annotation files, ``path label`` a line, paths with spaces included, or with
    ``multi_class`` ``path label label ...``. Where a video has several labels, each is an equal
    part of what its clips are trained on.

    Args:
        ann_file (str): Annotation file.
        num_classes (int): Classes; labels are 0 to num_classes - 1.
        multi_class (bool): Whether videos may have several labels. Defaults to False.
        on_error (str): What to do with a video that is missing or does not decode: ``'raise'`` ends
            the run with its name; ``'skip'`` replaces it in training by another one, drawn at
            random, and leaves it out of a test (:class:`~r21d_plugin.engine.SkippedVideosHook`).
            Defaults to ``'raise'``.
        max_bad_fraction (float): Part of the videos read that may be skipped; more end the run.
            Defaults to 0.05.
        **kwargs: Further arguments of VideoDataset.

    Raises:
        InputError: If the annotation file is missing or a line of it is not a path below
            ``data_prefix['video']`` and a label in range.
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
        self.on_error = on_error
        self.max_bad_fraction = max_bad_fraction
        super().__init__(ann_file, num_classes=num_classes, multi_class=multi_class, **kwargs)

    def __getitem__(self, idx: int) -> dict:
        """Run the pipeline on a video.

        Returns:
            dict: With ``on_error='skip'`` also ``skipped``, a line for each video that did not
            decode; in a test it is all there is then.

        Raises:
            VideoInputError: If the video does not decode.
            InputError: If training finds none in its place.
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
        raise InputError(
            f'{self.ann_file}: {len(skipped)} videos in a row do not decode: {skipped[-1]}'
        )

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
        while len(words) > 1 and is_label(words[-1]) and (self.multi_class or not labels):
            labels.insert(0, int(words.pop()))
        filename = (self.delimiter or ' ').join(words).rstrip()
        if not labels:
            raise InputError(f'{where}: {quote(line)} is not a path and a label')
        if max(labels) >= self.num_classes:
            raise InputError(
                f'{where}: label {max(labels)} is out of range: the config has {self.num_classes} '
                f'classes, 0 to {self.num_classes - 1}'
            )
        folder = self.data_prefix.get('video') or ''
        outside = os.path.normpath(filename).split(os.sep)[0] == os.pardir
        if folder and (outside or os.path.isabs(filename)):
            raise InputError(
                f'{where}: {quote(filename)} is not below {folder}: give paths relative to it, or '
                "any paths and data_prefix=dict(video='')"
            )
        label = labels if self.multi_class else labels[0]
        return dict(filename=os.path.join(folder, filename), label=label)


def is_label(word: str) -> bool:
    """Whether a word is a number that a label could be."""
    return word.isdecimal() and len(word) < 10

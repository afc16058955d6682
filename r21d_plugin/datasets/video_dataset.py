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

    Reads the same annotation files, ``path label`` a line, paths with spaces
    included, or with ``multi_class`` ``path label label ...``. Where a video has
    several labels, each is an equal part of what its clips are trained on.

    Args:
        ann_file (str): Annotation file.
        num_classes (int): Classes; labels are 0 to num_classes - 1.
        multi_class (bool): Whether videos may have several labels. Defaults to
            False.
        on_error (str): What becomes of a video that is missing or does not
            decode. ``'raise'``: the run ends with its name. ``'skip'``: in
            training another one, drawn at random, takes its place; in a test it
            is left out. :class:`~r21d_plugin.engine.SkippedVideosHook` counts
            and lists them. Defaults to ``'raise'``.
        max_bad_fraction (float): Part of the videos read that may be skipped;
            more end the run. Defaults to 0.05.
        **kwargs: Further arguments of VideoDataset.

    Raises:
        InputError: If the annotation file is missing or a line of it is not a
            path below ``data_prefix['video']`` and a label in range.
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
        """Give what the pipeline makes of a video.

        Returns:
            dict: With ``on_error='skip'`` also ``skipped``, a line on each video
            that was to be given and does not decode; in a test it is all there
            is then. :func:`.skipped_videos.collate_without_skipped` takes it.

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
        with get_local_path(self.ann_file) as path:
            videos = [self._parse(*line) for line in read_lines(Path(path), self.ann_file)]
        if not videos:
            raise InputError(f'{self.ann_file}: no videos in this list')
        return videos

    def _parse(self, line: str, where: str) -> dict:
        words = line.split(self.delimiter)
        labels: list[int] = []
        while len(words) > 1 and is_number(words[-1]) and (self.multi_class or not labels):
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
        if folder and leaves(filename):
            raise InputError(
                f'{where}: {quote(filename)} is not below {folder}: give paths relative to it, or '
                "any paths and data_prefix=dict(video='')"
            )
        label = labels if self.multi_class else labels[0]
        return dict(filename=os.path.join(folder, filename), label=label)


def is_number(word: str) -> bool:
    """Whether a word is a number that a label could be."""
    return word.isdecimal() and len(word) < 10


def leaves(path: str) -> bool:
    """Whether a path leads out of the folder that it is joined to."""
    return os.path.isabs(path) or os.path.normpath(path).split(os.sep)[0] == os.pardir

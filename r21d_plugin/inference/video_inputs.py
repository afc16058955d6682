"""What a network is given of videos that are in no dataset."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.dataset import Compose
from torch.utils.data import DataLoader, Dataset

from .._errors import InputError
from ..datasets.pipelines import Pipeline, changed
from ..datasets.workers import obey_parent
from ..engine.launch import first_line


class Failure(NamedTuple):
    """A video that does not decode.

    Attributes:
        video (int): Its number.
        error (str): Why.
        share (float): Part of it that was not given as clips before. Defaults
            to 1.
    """

    video: int
    error: str
    share: float = 1.0


class WholeVideos(Dataset):
    """The test clips of videos, as a test of a dataset takes them.

    The data samples have ``total_frames`` and, where the pipeline opens the
    video, ``avg_fps``. A video that does not decode is a :class:`Failure`.

    Args:
        videos (Sequence[Path]): The videos.
        pipeline (list[dict]): The test pipeline.

    Raises:
        InputError: If the pipeline has an unknown type or argument.
    """

    def __init__(self, videos: Sequence[Path], pipeline: Pipeline) -> None:
        self.videos = videos
        length = dict(meta_keys=('total_frames', 'avg_fps'))
        self.pipeline = compose(
            changed(pipeline, 'PackActionInputs', lambda pack: [dict(pack, **length)])
        )

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, number: int) -> dict | Failure:
        try:
            return self.pipeline(video_info(self.videos[number]))
        except InputError as error:
            return Failure(number, str(error))


def pipeline_of(cfg: Config) -> Pipeline:
    """The pipeline of a config's test.

    Raises:
        InputError: If it has none.
    """
    loader = cfg.get('test_dataloader')
    if not loader:
        raise InputError(f'{cfg.filename}: has no test_dataloader, whose pipeline is needed')
    return loader.dataset.pipeline


def compose(transforms: Sequence[Any]) -> Compose:
    """Build a pipeline.

    Raises:
        InputError: If it has an unknown type or argument.
    """
    try:
        return Compose(transforms)
    except (KeyError, TypeError) as error:
        raise InputError(f'test pipeline: {first_line(error)}') from error


def video_info(video: Path) -> dict:
    """What MMAction2's datasets give a pipeline of a video, but for its label."""
    return dict(filename=str(video), start_index=0, modality='RGB')


def in_background(dataset: Dataset, workers: int) -> Iterator[Any]:
    """The items of a dataset, prepared by other processes while they are used.

    Args:
        dataset (Dataset): The dataset.
        workers (int): Processes; 0: none but this one.

    Yields:
        Any: Each item; those of a dataset with indices in their order.

    Raises:
        InputError: If a process dies.
    """
    if workers < 0:
        raise InputError(f'workers={workers}: 0 or more')
    loader: DataLoader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=workers,
        collate_fn=as_it_is,
        worker_init_fn=begin_quietly,
    )
    try:
        yield from loader
    except RuntimeError as error:
        if 'DataLoader worker (pid' not in str(error):  # else an error in one that lives
            raise
        raise InputError(
            'a worker died, of a lack of memory or of a video that crashes the decoder: run the '
            'same command again, with fewer --workers perhaps'
        ) from error


def begin_quietly(worker: int) -> None:
    """Begin as a worker that leaves nothing behind when the parent is stopped or killed.

    Its errors go to the parent. What it would print is that the parent was
    stopped while it took a tensor.
    """
    obey_parent()
    sys.excepthook = lambda *_: None


def as_it_is(item: Any) -> Any:
    """What is not put into a batch."""
    return item

"""Build model inputs from standalone video files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Tuple

import torch
from mmengine.config import Config
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .._errors import InputError, first_line
from ..datasets.checked_pipeline import CheckedPipeline
from ..datasets.pipelines import SAMPLERS, Pipeline, for_videos, name_of, update_transform
from ..datasets.workers import init_worker
from ..datasets.wrappers import inner_datasets


def pipeline_of(cfg: Config) -> Pipeline:
    """Test pipeline for video files of a config, of several datasets the first's.

    Raises an InputError if it has none.
    """
    datasets = inner_datasets((cfg.get('test_dataloader') or {}).get('dataset') or {})
    if not datasets or not datasets[0].get('pipeline'):
        where = 'test_dataloader.dataset.pipeline'
        raise InputError(f'{cfg.filename}: has no {where}, which says how to read videos')
    return for_videos(datasets[0]['pipeline'])


def one_crop_pipeline(cfg: Config, clips: int | None) -> Pipeline:
    """Test pipeline with so many clips of a video (None: 1); an InputError if it crops several."""
    pipeline = update_transform(pipeline_of(cfg), *SAMPLERS, num_clips=clips or 1)
    if crops := [name for name in map(name_of, pipeline) if name in ('ThreeCrop', 'TenCrop')]:
        raise InputError(f'{cfg.filename}: a file takes one crop: use CenterCrop, not {crops[0]}')
    return pipeline


def named_inputs(videos: dict[str, Any], clips: int | None) -> dict[str, Tensor]:
    """Clips of collated videos, in float32, by stream: N (x clips) x C x T x H x W."""
    streams = videos['inputs']
    if not isinstance(streams, dict):
        streams = {'imgs' if streams[0].dtype == torch.uint8 else 'flow': streams}
    inputs = {name: torch.stack(x).float() for name, x in streams.items()}
    return inputs if clips else {name: x.squeeze(1) for name, x in inputs.items()}


def build_pipeline(transforms: Sequence[Any]) -> CheckedPipeline:
    """Build a pipeline; an InputError if it has an unknown type or argument."""
    try:
        return CheckedPipeline(transforms)
    except (KeyError, TypeError) as error:
        raise InputError(f'test pipeline: {first_line(error)}') from error


def run_pipeline(pipeline: CheckedPipeline, video: Path) -> dict[str, Any]:
    """Run a pipeline on a video as MMAction2's datasets do.

    Raises an InputError if the video does not decode, or the pipeline is not one for videos.
    """
    try:
        found = pipeline(dict(filename=str(video), start_index=0, modality='RGB'))
    except KeyError as error:
        reason = f'the test pipeline needs {error} of a sample, which a video file does not have'
        raise InputError(f'{video}: {reason}') from error
    assert found is not None
    return found


def load_videos(
    load: Callable[[Path], Iterable[Any]], videos: Sequence[Path], workers: int = 0
) -> Iterator[tuple[Path, Any]]:
    """Load videos in worker processes (0: in this one), each video in one of them.

    Yields videos with the items that ``load`` gives of them, or the InputError that ended it. Items
    of a video keep their order; videos do if each has a single item. Raises an InputError if
    ``workers`` is negative or a worker dies.
    """
    if workers < 0:
        raise InputError(f'workers={workers}: 0 or more')
    loader: DataLoader[Any] = DataLoader(
        VideoItems(load, videos),
        batch_size=None,
        num_workers=min(workers, len(videos)),
        collate_fn=tuple,  # keep items as they are: the default makes tensors of arrays
        worker_init_fn=init_loader_worker,
    )
    try:
        yield from loader
    except (RuntimeError, ConnectionResetError) as error:
        if isinstance(error, RuntimeError) and 'DataLoader worker (pid' not in str(error):
            raise  # a living worker raised it
        raise InputError(
            'a worker died, of a lack of memory or of a video that crashes the decoder: run the '
            'same command again, with fewer --workers perhaps'
        ) from error


class VideoItems(IterableDataset[Tuple[Path, Any]]):
    """Dataset of :func:`load_videos`: worker i of n loads the videos i, i + n, i + 2n ..."""

    def __init__(self, load: Callable[[Path], Iterable[Any]], videos: Sequence[Path]) -> None:
        self.load, self.videos = load, videos

    def __iter__(self) -> Iterator[tuple[Path, Any]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for video in self.videos[first::step]:
            try:
                for item in self.load(video):
                    yield video, item
            except InputError as error:
                yield video, type(error)(str(error))  # a copy: tracebacks keep frames alive


def init_loader_worker(worker: int) -> None:
    """Make a worker end with the parent process, and print nothing when that is stopped."""
    init_worker()
    sys.excepthook = lambda *_: None  # errors reach the parent by the loader's queue

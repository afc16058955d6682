"""Repairs of MMEngine and MMAction2 for the processes of our own commands.

:func:`apply` changes the process that calls it; importing this package does
not call it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any

import cv2
from mmaction.visualization import LocalVisBackend as ActionVisBackend
from mmengine.config import Config
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader
from mmengine.visualization import LocalVisBackend, TensorboardVisBackend

from ._atomic import naming_the_file, written_whole
from ._pictures import write_picture
from .weights import load_checkpoint


@cache
def apply() -> None:
    """Repair this process, once."""
    load_checkpoints_safely()
    write_files_whole()
    name_files_that_cannot_be_written()


def load_checkpoints_safely() -> None:
    """Have MMEngine load checkpoints as :func:`r21d_plugin.weights.load_checkpoint` does.

    MMEngine 0.10.7 calls ``torch.load`` in a way that torch 2.6 and later refuse for its own
    checkpoints.
    """
    register = partial(CheckpointLoader.register_scheme, force=True)
    register(prefixes='', loader=load_checkpoint)
    register(prefixes=('http://', 'https://'), loader=load_checkpoint)


class WholeFileBackend(LocalBackend):
    """MMEngine's backend of local files, writing them under another name first."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            InputError: If they cannot be written.
        """
        with written_whole(Path(filepath), parents=True) as partial:
            partial.write_bytes(obj)


def write_files_whole() -> None:
    """Have MMEngine's checkpoints appear when they are complete.

    MMEngine 0.10.7 writes them under their final names: half of one stays
    where a run is killed or a disk is full.
    """
    register_backend('local', WholeFileBackend, force=True, prefixes='')


def name_files_that_cannot_be_written() -> None:
    """Have MMEngine and MMAction2 say in one line which file a full disk has no room for.

    A config replaces that of an earlier start when it is complete, and so do
    pictures: OpenCV may lose the end of one and say that all is well, and the
    backends would not listen if it said otherwise.
    """
    dump_config = Config.dump

    def dump(self: Config, file: str | Path | None = None) -> str | None:
        if file is None:
            return dump_config(self)
        with written_whole(Path(file)) as partial:
            return dump_config(self, partial)

    Config.dump = dump
    run_within(LocalVisBackend, '_dump', lambda backend, values, path, *_: naming_the_file(path))
    for method in ('add_config', 'add_image', 'add_scalar', 'close'):
        run_within(TensorboardVisBackend, method, naming_the_events)
    run_within(LocalVisBackend, 'add_image', writing_whole_pictures)
    run_within(ActionVisBackend, 'add_video', writing_whole_pictures)


def run_within(owner: type, method: str, context: Callable[..., Any]) -> None:
    """Have a method run within a context.

    Args:
        owner (type): Class of the method.
        method (str): Its name.
        context (Callable): Makes the context from the method's positional arguments.
    """
    run = getattr(owner, method)

    @wraps(run)
    def run_inside(*args: Any, **kwargs: Any) -> Any:
        with context(*args):
            return run(*args, **kwargs)

    setattr(owner, method, run_inside)


def naming_the_events(backend: TensorboardVisBackend, *_: Any) -> AbstractContextManager:
    """Name the file for TensorBoard, which alone knows the rest of its name, if it cannot grow."""
    return naming_the_file(Path(backend._save_dir, 'events.out.tfevents.*'))


@contextmanager
def writing_whole_pictures(*_: Any) -> Iterator[None]:
    """Have OpenCV write whole pictures or raise an error."""
    imwrite = cv2.imwrite
    cv2.imwrite = write_picture  # type: ignore[assignment]
    try:
        yield
    finally:
        cv2.imwrite = imwrite

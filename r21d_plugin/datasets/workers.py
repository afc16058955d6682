"""Process pools that work through many videos."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

from .._errors import InputError

Item = TypeVar('Item')


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes that end with this one; an InputError if one of them dies."""
    if workers < 1:
        raise InputError(f'workers={workers}: at least 1 is needed')
    pool = ProcessPoolExecutor(workers, initializer=init_worker)
    try:
        yield pool
    except BrokenExecutor as error:
        reason = 'of a lack of memory or of a video that crashes the decoder'
        raise InputError(f'a worker died, {reason}: run the same command again') from error
    finally:
        pool.shutdown(cancel_futures=True)


def init_worker() -> None:
    """Leave interrupts to the parent process, and exit when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)  # the workers fill the cores already
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def parallel_map(
    function: Callable[[Item], Item], items: Iterable[Item], workers: int
) -> Iterator[Item]:
    """Apply a function to items in parallel, a bounded number at a time; results are in order."""
    remaining = iter(items)
    with worker_pool(workers) as pool:
        while batch := list(islice(remaining, 64 * workers)):
            yield from pool.map(function, batch)

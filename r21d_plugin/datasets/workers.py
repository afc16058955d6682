"""Process pools that work through many videos."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, TypeVar

import cv2

from .._errors import InputError

Item = TypeVar('Item')
Result = TypeVar('Result')


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes that leave nothing behind when this one is stopped or killed.

    Raises:
        InputError: If there are to be none, or one of them dies.
    """
    if workers < 1:
        raise InputError(f'workers={workers}: at least 1 is needed')
    try:
        with ProcessPoolExecutor(workers, initializer=init_worker) as pool:
            try:
                yield pool
            finally:
                pool.shutdown(cancel_futures=True)
    except BrokenProcessPool as error:
        raise InputError(
            'a worker died, of a lack of memory or of a video that crashes the decoder: run the '
            'same command again'
        ) from error


def init_worker() -> None:
    """Leave interrupts to the parent process, and exit when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)  # the workers fill the cores already
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: Any) -> None:
    wait([sentinel])
    os._exit(1)


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Apply a function to items in parallel, a bounded number at a time; results are in order."""
    remaining = iter(items)
    with worker_pool(workers) as pool:
        while batch := list(islice(remaining, 64 * workers)):
            yield from pool.map(function, batch)

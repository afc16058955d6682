"""Process pools for many videos."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import cv2

from .._errors import InputError

Item = TypeVar('Item')
Result = TypeVar('Result')


@contextmanager
def worker_pool(workers: int, start_method: str | None = None) -> Iterator[ProcessPoolExecutor]:
    """Context manager: a pool of processes that exit with this one.

    ``start_method`` is Python's own by default. Raises an InputError if a worker dies.
    """
    if workers < 1:
        raise InputError(f'workers={workers}: at least 1 is needed')
    context = multiprocessing.get_context(start_method)
    pool = ProcessPoolExecutor(workers, context, init_worker)
    try:
        yield pool
    except BrokenExecutor as error:
        reason = 'too little memory, or a video that crashes the decoder'
        raise InputError(f'a worker died: {reason}: run the same command again') from error
    finally:
        pool.shutdown()


def init_worker() -> None:
    """Ignore interrupts, which the parent process handles, and exit when the parent exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)  # the workers already use all cores
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Apply a function to items in parallel, with a bounded queue; results are in order."""
    remaining = iter(items)
    with worker_pool(workers) as pool:
        pending = deque(pool.submit(function, item) for item in islice(remaining, 64 * workers))
        try:
            while pending:
                yield pending.popleft().result()
                pending.extend(pool.submit(function, item) for item in islice(remaining, 1))
        finally:
            for future in pending:
                future.cancel()

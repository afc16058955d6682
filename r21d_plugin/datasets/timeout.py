"""Run a function with a timeout."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar('Result')


def run_with_timeout(function: Callable[[], Result], seconds: float) -> Result:
    """Call a function in a thread of its own, and wait for it no longer than some time.

    Nothing can interrupt C code, not even a signal: a function that does not end in time is left
    running in a daemon thread.

    Raises:
        TimeoutError: If it does not end in time.
    """
    future: Future[Result] = Future()
    Thread(target=_run, args=(future, function), daemon=True).start()
    try:
        return future.result(seconds)
    finally:
        del future  # an exception raised here would refer to it, and it to the exception


def _run(future: Future, function: Callable[[], object]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
    finally:
        del future

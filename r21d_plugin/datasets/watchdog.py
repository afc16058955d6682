"""Giving up on what may never end."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

Result = TypeVar('Result')


def within(seconds: float, task: Callable[[], Result]) -> Result:
    """Call a function, and wait for it no longer than some time.

    Nothing can interrupt C code in its own thread, not even a signal. So the
    function runs in another one, which is left behind if it does not end, and
    goes with the process.

    Args:
        seconds (float): The time.
        task (Callable): The function.

    Returns:
        Result: What it returns.

    Raises:
        TimeoutError: If it does not end in time.
    """
    outcome: Future[Result] = Future()
    Thread(target=settle, args=(outcome, task), daemon=True).start()
    return outcome.result(seconds)


def settle(outcome: Future, task: Callable[[], object]) -> None:
    """Call a function for someone who waits for its outcome."""
    try:
        outcome.set_result(task())
    except BaseException as error:
        outcome.set_exception(error)

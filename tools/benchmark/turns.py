"""Time tasks that take turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

import numpy as np
import torch


def take_turns(
    tasks: Mapping[str, Callable[[], Any]], repeats: int, clock: Callable[[], float]
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Measure the seconds of tasks in each turn, and return the last results.

    A turn before these is a warm-up. All tasks of a turn draw the same random numbers.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    results: dict[str, Any] = {}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            np.random.seed(turn)
            torch.manual_seed(turn)
            start = clock()
            results[name] = task()
            if turn > 0:
                seconds[name].append(clock() - start)
    return seconds, results

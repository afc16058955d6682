"""Generate the videos of the study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from experiments.motion import make_dataset

from .hard_motion import HARD_MOTION
from .plan import DATA, Scale


def make_videos(scale: Scale, out: Path, workers: int) -> Iterator[str]:
    """Make the videos of a study, unless they exist.

    Args:
        scale (Scale): Scale of the study.
        out (Path): Folder of the study.
        workers (int): Number of processes.

    Yields:
        str: The annotation of each video that is made.
    """
    if not (out / DATA / 'label_map_motion.txt').exists():
        yield from make_dataset(
            out / DATA, scale.train, scale.val, workers=workers, videos=HARD_MOTION
        )

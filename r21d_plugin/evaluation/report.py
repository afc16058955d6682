"""Reading back what finished tests measured."""

import json
from pathlib import Path

from ..errors import InputError

METRICS = ('clip@1', 'video@1', 'video@5')


def last_test(work_dir: Path) -> dict[str, float]:
    """Read the metrics of the last test in a work dir.

    MMEngine writes them to ``<time>/<time>.json``; the name sorts by time.

    Args:
        work_dir (Path): Work dir of the test.

    Returns:
        dict[str, float]: clip@1, video@1 and video@5, 0 to 1.

    Raises:
        InputError: If there is none.
    """
    for path in sorted(work_dir.glob('*/*.json'), reverse=True):
        # MMEngine lets every rank write this file: the last one's object comes
        # first, behind it may stand the end of a longer one.
        content, _ = json.JSONDecoder().raw_decode(path.read_text())
        if set(METRICS) <= set(content):
            return {name: content[name] for name in METRICS}
    raise InputError(f'{work_dir}: no finished test there: run mim test with this --work-dir')

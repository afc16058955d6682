"""Videos that are left out because they do not decode: batches without them, counts and a list."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.dataset import pseudo_collate

from .._atomic import atomic_write


@dataclass
class SkippedVideos:
    """Count of the videos that were read and of those that were skipped.

    Attributes:
        read (int): Videos read, each as often as it was.
        skipped (int): Of these, the ones that did not decode.
        reasons (set[str]): A line for each video that did not, which names it.
    """

    read: int = 0
    skipped: int = 0
    reasons: set[str] = field(default_factory=set)

    def add(self, read: int, skipped: int, reasons: Iterable[str]) -> None:
        """Count more videos."""
        self.read += read
        self.skipped += skipped
        self.reasons.update(reasons)

    def write(self, path: Path) -> None:
        """Write the reasons, a line each, or remove the list of an earlier run."""
        if not self.reasons:
            path.unlink(missing_ok=True)
            return
        with atomic_write(path, parents=True) as partial:
            partial.write_text(''.join(f'{line}\n' for line in sorted(self.reasons)), 'utf-8')

    def __str__(self) -> str:
        return f'{self.skipped} of {self.read} videos read'


def collate_without_skipped(items: Sequence[dict]) -> dict:
    """Put the videos that decode into a batch.

    Args:
        items (Sequence[dict]): What :class:`~r21d_plugin.datasets.LabelledVideoDataset` gives with
            ``on_error='skip'``.

    Returns:
        dict: ``inputs`` and ``data_samples``, lists that may be empty, and ``skipped``, a line for
        each video that does not decode.
    """
    skipped = [line for item in items for line in item.pop('skipped')]
    decoded = [item for item in items if item]
    batch = pseudo_collate(decoded) if decoded else dict(inputs=[], data_samples=[])
    return dict(batch, skipped=skipped)

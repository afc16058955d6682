"""Check the videos of a dataset, and encode them into a training store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .._errors import InputError, VideoInputError, escape_bytes, first_line
from .video_facts import VideoFacts, inspect_video
from .video_files import bytes_of
from .video_store import StoreFormat, is_stored, store_video


class Task(NamedTuple):
    """A video to check."""

    source: str  # its path below the folder of videos
    stored: str = ''  # its path in the store; empty if there is none
    seconds: tuple[float, float] | None = None  # begin and end of the part to store; None for all

    @property
    def path(self) -> str:
        """The path that lists give."""
        return self.stored or self.source


class Checked(NamedTuple):
    """What became of a task."""

    task: Task
    facts: VideoFacts | None = None  # what lists tell of the video; None if it is broken
    reason: str = ''  # what is wrong with it; empty if nothing is
    source_bytes: int = 0  # size of the file in the folder of videos
    encoded: bool = False  # whether it was encoded now


@dataclass(frozen=True)
class Checker:
    """How to check videos."""

    folder: Path  # the folder of videos
    level: str = 'quick'  # how thoroughly, one of LEVELS
    store: Path | None = None  # the folder to encode them into; None to read them where they are
    form: StoreFormat = field(default_factory=StoreFormat)  # what to encode them to

    def check(self, item: tuple[Task, VideoFacts | None]) -> Checked:
        """Check a video, of which something may be known, and encode it if it is not yet stored."""
        task, known = item
        source = self.folder / task.source
        try:
            source_bytes = bytes_of(source)
            if self.store is None:
                facts, encoded = self._facts(source, task, known), False
            else:
                facts, encoded = self._stored_facts(self.store / task.stored, task, known)
        except Exception as error:
            if isinstance(error, InputError) and not isinstance(error, VideoInputError):
                raise  # a full disk, or another store
            return Checked(task, reason=short_reason(error, source))
        return Checked(task, facts, '', source_bytes, encoded)

    def _facts(self, video: Path, task: Task, known: VideoFacts | None) -> VideoFacts:
        if known is not None and known.still_holds(video, self.level):
            return known
        return inspect_video(video, task.path, self.level)

    def _stored_facts(
        self, video: Path, task: Task, known: VideoFacts | None
    ) -> tuple[VideoFacts, bool]:
        """Facts of a stored file, and whether it was encoded now, as a damaged one is again."""
        source = self.folder / task.source
        if is_stored(video, source, self.form):
            with suppress(VideoInputError):
                return self._facts(video, task, known), False
        store_video(source, video, self.form, task.seconds)
        return self._facts(video, task, None), True


def short_reason(error: Exception, video: Path) -> str:
    """What is wrong with a video, without its name and the remedy, which lists give once."""
    what = first_line(error).replace(f'{escape_bytes(video)}: ', '', 1)
    return what.partition(': ')[0] or type(error).__name__

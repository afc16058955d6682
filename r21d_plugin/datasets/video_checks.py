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

    source: str  # path relative to the folder of videos
    stored: str = ''  # path in the store; empty if there is none
    seconds: tuple[float, float] | None = None  # begin and end of the part to store; None for all

    @property
    def path(self) -> str:
        """The path for lists."""
        return self.stored or self.source


class Checked(NamedTuple):
    """The result of a task."""

    task: Task
    facts: VideoFacts | None = None  # facts about the video; None if it is broken
    reason: str = ''  # why the video is broken; empty if it is not
    source_bytes: int = 0  # size of the file in the folder of videos
    encoded: bool = False  # whether the video was encoded in this run


@dataclass(frozen=True)
class Checker:
    """Checker of videos with certain settings."""

    folder: Path  # the folder of videos
    level: str = 'quick'  # thoroughness, one of LEVELS
    store: Path | None = None  # the folder to encode videos into; None: do not encode
    form: StoreFormat = field(default_factory=StoreFormat)  # format of the encoded videos

    def check(self, item: tuple[Task, VideoFacts | None]) -> Checked:
        """Check a video, reuse known facts, and encode the video if it is not yet stored."""
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
                raise  # for example a full disk, or a store with other settings
            return Checked(task, reason=short_reason(error, source))
        return Checked(task, facts, '', source_bytes, encoded)

    def _facts(self, video: Path, task: Task, known: VideoFacts | None) -> VideoFacts:
        if known is not None and known.still_holds(video, self.level):
            return known
        return inspect_video(video, task.path, self.level)

    def _stored_facts(
        self, video: Path, task: Task, known: VideoFacts | None
    ) -> tuple[VideoFacts, bool]:
        """Return the facts of a stored file and whether it was encoded (again, if damaged)."""
        source = self.folder / task.source
        if is_stored(video, source, self.form):
            with suppress(VideoInputError):
                return self._facts(video, task, known), False
        store_video(source, video, self.form, task.seconds)
        return self._facts(video, task, None), True


def short_reason(error: Exception, video: Path) -> str:
    """Return an error's reason without the video's name and the remedy, which lists give once."""
    what = first_line(error).replace(f'{escape_bytes(video)}: ', '', 1)
    return what.partition(': ')[0] or type(error).__name__

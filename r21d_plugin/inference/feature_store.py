"""Features on disk: a folder of .npy files, or one HDF5 file."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._atomic import write_json, written_whole
from .._errors import InputError

HDF5 = ('.h5', '.hdf5')
"""Extensions of an HDF5 file."""

Settings = dict[str, str | int]


class Features(NamedTuple):
    """Features of a video.

    Attributes:
        values (ndarray): Clips x channels, float32.
        starts (ndarray): Frame at which each clip begins.
        frames (int): Frames of the video.
        fps (float): Frames a second; 0 if unknown.
        video_bytes (int): Size of its file, by which a video that has changed
            is known.
    """

    values: np.ndarray
    starts: Sequence[int]
    frames: int
    fps: float
    video_bytes: int

    def known(self) -> dict[str, Any]:
        """All but the values."""
        return {key: value for key, value in self._asdict().items() if key != 'values'}


class FeatureStore(Protocol):
    """Where features are kept.

    Attributes:
        report (Path): Where to list the videos that do not decode.
    """

    report: Path

    def has(self, name: str, video_bytes: int) -> bool:
        """Whether the features of a video, of this size, are there."""

    def write(self, name: str, features: Features) -> None:
        """Keep the features of a video."""

    def finish(self) -> None:
        """Put in place what was written."""


class FeatureFolder:
    """A file of features for each video, ``NAME.npy``, and what is known of them, ``NAME.json``.

    A video is complete when its ``.json`` is there, which is written last.

    Args:
        folder (Path): The folder.
        settings (dict): What the features depend on; kept in ``settings.json``.

    Raises:
        InputError: If the folder has features of other settings, or cannot be
            written to.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.report = folder / 'broken_videos.txt'
        path = folder / 'settings.json'
        if path.exists():
            check_settings(folder, read_json(path), settings)
        else:
            write_json(path, settings, parents=True)

    def has(self, name: str, video_bytes: int) -> bool:
        """Whether the features of a video, of this size, are there."""
        path = self.folder / f'{name}.json'
        return path.exists() and read_json(path).get('video_bytes') == video_bytes

    def write(self, name: str, features: Features) -> None:
        """Keep the features of a video."""
        with written_whole(self.folder / f'{name}.npy', parents=True) as partial:
            partial.write_bytes(as_npy(features.values))
        write_json(self.folder / f'{name}.json', features.known(), indent=None)

    def items(self) -> Iterator[tuple[str, Features]]:
        """All that is complete, by name."""
        for path in sorted(self.folder.rglob('*.npy')):
            known = path.with_suffix('.json')
            if known.exists():
                name = str(path.relative_to(self.folder).with_suffix(''))
                yield name, Features(np.load(path), **read_json(known))

    def finish(self) -> None:
        """Nothing: all is in place."""


class FeatureFile:
    """An HDF5 file with a dataset for each video, by its name.

    Datasets have attributes ``starts``, ``frames``, ``fps`` and
    ``video_bytes``, the file those that the features depend on. HDF5 files do
    not survive being killed while they are written, so features are collected
    in a :class:`FeatureFolder` beside the file and packed into it at the end.

    Args:
        path (Path): The file.
        settings (dict): What the features depend on.

    Raises:
        InputError: If h5py is not installed, or the file has features of other
            settings, or is something else.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        if find_spec('h5py') is None:
            raise InputError(f"{path}: needs h5py: pip install 'r21d_plugin[features]'")
        self.path = path
        self.settings = settings
        self.report = path.with_name(f'{path.stem}_broken_videos.txt')
        self.there: dict[str, int] = {}
        if path.exists():
            self._read()
        self.parts = FeatureFolder(path.with_name(f'{path.name}.parts'), settings)

    def _read(self) -> None:
        import h5py

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                self.there[name] = item.attrs['video_bytes']

        try:
            with h5py.File(self.path) as file:
                check_settings(self.path, dict(file.attrs), self.settings)
                file.visititems(note)
        except (OSError, KeyError) as error:
            raise InputError(f'{self.path}: not a file of features: move it away') from error

    def has(self, name: str, video_bytes: int) -> bool:
        """Whether the features of a video, of this size, are there."""
        return self.there.get(name) == video_bytes or self.parts.has(name, video_bytes)

    def write(self, name: str, features: Features) -> None:
        """Keep the features of a video."""
        self.parts.write(name, features)

    def finish(self) -> None:
        """Pack what was collected into the file."""
        if any(self.parts.items()):
            self._pack()
        shutil.rmtree(self.parts.folder)

    def _pack(self) -> None:
        import h5py

        # Attributes of more than 64 KiB, as the starts may be, need a format of 2008 or later.
        open_file = partial(h5py.File, mode='a', libver=('v108', 'latest'))
        with written_whole(self.path) as path:
            if self.path.exists():
                shutil.copyfile(self.path, path)
            open_file(path).close()
            reserve(path, self.parts.folder)
            with open_file(path) as file:
                file.attrs.update(self.settings)
                for name, features in self.parts.items():
                    file.pop(name, None)
                    dataset = file.create_dataset(name, data=features.values)
                    dataset.attrs.update(features.known())


def reserve(path: Path, parts: Path) -> None:
    """Have room for parts at the end of a file, which HDF5 then gives back.

    Where a disk is full it would crash the process instead of raising an error.

    Raises:
        OSError: If there is no room.
    """
    sizes = [part.stat().st_size for part in parts.rglob('*') if part.is_file()]
    most = 2 * sum(sizes) + 4096 * len(sizes)
    with path.open('rb+') as file:
        os.posix_fallocate(file.fileno(), path.stat().st_size, most)


def open_store(out: Path, settings: Settings) -> FeatureStore:
    """Open what is there already, or begin.

    Args:
        out (Path): An HDF5 file, by its extension, or else a folder.
        settings (dict): What the features depend on: ``config``,
            ``checkpoint``, ``clip_len``, ``stride`` and ``fingerprint``, the
            last of which stands for the first two.

    Raises:
        InputError: If what is there has other settings, or is something else.
    """
    return FeatureFile(out, settings) if out.suffix in HDF5 else FeatureFolder(out, settings)


def check_settings(out: Path, there: dict[str, Any], settings: Settings) -> None:
    """Check that features may be added to those that are there.

    Raises:
        InputError: If they were computed otherwise.
    """
    for key in ('clip_len', 'stride'):
        if there.get(key) != settings[key]:
            raise InputError(
                f'{out}: holds features with {key} {there.get(key)}, not {settings[key]}: '
                'write these elsewhere'
            )
    if there.get('fingerprint') != settings['fingerprint']:
        raise InputError(
            f'{out}: holds features of {there.get("config")} and {there.get("checkpoint")}, whose '
            'network, weights or pipeline are others: write these elsewhere'
        )


def as_npy(values: np.ndarray) -> memoryview:
    """The bytes of a .npy file.

    ``np.save`` into a file on a full disk may lose the end of it without an error.
    """
    buffer = BytesIO()
    np.save(buffer, values)
    return buffer.getbuffer()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file.

    Raises:
        InputError: If it is none.
    """
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not readable: delete it: {error}') from error

"""Files of features: a folder of .npy files, or one HDF5 file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .._atomic import atomic_write, name_file_on_error, write_json
from .._errors import InputError, escape_bytes
from .._packages import missing_packages_named

HDF5 = ('.h5', '.hdf5')


class FeatureFolder:
    """A folder with ``NAME.npy``, the features of a video, and then ``NAME.json``, about it.

    Settings are ``config`` and ``checkpoint`` as they were named, ``stride``, and ``fingerprint``,
    of all else that features depend on. They are kept in ``settings.json``. Several processes may
    write at once, each the features of other videos. Raises an InputError if the folder has
    features of other settings, or cannot be written to.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str | int]) -> None:
        self.folder, self.settings = folder, settings
        self.report = folder / 'broken_videos.txt'
        path = folder / 'settings.json'
        if not path.exists():
            own = path.with_name(f'.settings-{os.getpid()}.json')  # others may write theirs now
            with name_file_on_error(path):
                folder.mkdir(parents=True, exist_ok=True)
                own.write_text(json.dumps(settings, indent=2) + '\n', 'utf-8')
                own.replace(path)
        self.check(read_json(path), folder)

    def check(self, stored: Mapping[str, Any], where: Path) -> None:
        """Raise an InputError if stored features are of other settings."""
        if any(stored.get(key) != self.settings[key] for key in ('stride', 'fingerprint')):
            raise InputError(
                f'{where}: holds features of {stored.get("config")} and '
                f'{stored.get("checkpoint")} with stride {stored.get("stride")}; now network, '
                'weights, pipeline or stride differ: write these elsewhere'
            )

    def has(self, name: str, video_bytes: int) -> bool:
        """Whether the features of a video, whose file has this size, are complete."""
        path = self.folder / f'{name}.json'
        return path.exists() and read_json(path).get('video_bytes') == video_bytes

    def write(self, name: str, features: np.ndarray, facts: dict[str, Any]) -> None:
        """Write the features of a video, clips x ..., and facts that JSON can hold."""
        npy = BytesIO()  # np.save into a file loses its end on a full disk without an error
        np.save(npy, features)
        with atomic_write(self.folder / f'{name}.npy', parents=True) as partial:
            partial.write_bytes(npy.getbuffer())
        write_json(self.folder / f'{name}.json', facts, indent=None)

    def finish(self, all_done: bool) -> None:
        """Note that this process is done, or all videos are."""


class FeatureFile(FeatureFolder):
    """An HDF5 file with a dataset for each video, whose attributes are the facts about it.

    Attributes of the file are the settings. Features are collected in the folder ``FILE.parts``;
    :meth:`finish` puts them into the file, which is whole at any time, and removes the folder.
    """

    def __init__(self, path: Path, settings: Mapping[str, str | int]) -> None:
        self.path, self.settings = path, settings
        self.stored: dict[str, int] = {}
        import_h5py()  # it is needed at the end
        if path.exists():
            with open_hdf5(path) as file:
                self.check(file.attrs, path)
                for name, dataset in datasets_in(file):
                    self.stored[name] = int(dataset.attrs['video_bytes'])
        super().__init__(path.with_name(f'{path.name}.parts'), settings)
        self.report = path.with_name(f'{path.stem}.broken_videos.txt')

    def has(self, name: str, video_bytes: int) -> bool:
        """Whether the features of a video, whose file has this size, are complete."""
        return self.stored.get(name) == video_bytes or super().has(name, video_bytes)

    def finish(self, all_done: bool) -> None:
        """Put the collected features into the file, if all videos are done."""
        if not all_done:
            print(f'when all parts are done, run without --shard to write {self.path}')
            return
        added = [*npy_files(self.folder)]
        there = self.path.exists()
        if added or not there:
            with atomic_write(self.path) as partial:
                if there:
                    shutil.copyfile(self.path, partial)
                with open_hdf5(partial, 'a' if there else 'w') as file:
                    file.attrs.update({k: plain(v) for k, v in self.settings.items()})
                    for name, path in added:
                        if name in self.stored:
                            del file[os.fsencode(name)]
                        add_dataset(file, name, path)
        shutil.rmtree(self.folder)


def add_dataset(file: Any, name: str, path: Path) -> None:
    """Put a .npy file and the facts beside it into an HDF5 file."""
    dataset = file.create_dataset(os.fsencode(name), data=np.load(path))
    facts = read_json(path.with_suffix('.json'))
    dataset.attrs.update({key: value for key, value in facts.items() if value is not None})


def plain(value: str | int) -> str | int:
    """A value that an attribute can hold."""
    return escape_bytes(value) if isinstance(value, str) else value


def open_features(out: Path, settings: Mapping[str, str | int]) -> FeatureFolder:
    """Open what ``out`` names: an HDF5 file by its extension, else a folder."""
    return (FeatureFile if out.suffix in HDF5 else FeatureFolder)(out, settings)


def read_features(source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names of videos and their features, clips x ..., of a folder or an HDF5 file.

    Raises an InputError if there are none.
    """
    if source.suffix in HDF5:
        with open_hdf5(source) as file:
            for name, dataset in datasets_in(file):
                yield name, dataset[()]
        return
    files = [*npy_files(source)]
    if not files:
        raise InputError(f'{source}: no features: name a folder or file that `r21d features` wrote')
    for name, path in files:
        yield name, np.load(path)


def npy_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names of videos whose features are complete in a folder, and the .npy files."""
    for path in sorted(folder.rglob('*.npy')):
        if path.with_suffix('.json').exists():
            yield str(path.relative_to(folder))[: -len('.npy')], path


def open_hdf5(path: Path, mode: str = 'r') -> Any:
    """Open an HDF5 file; an InputError if it is none, or h5py is missing."""
    try:
        return import_h5py().File(path, mode, libver='latest')  # which has attributes of any size
    except OSError as error:
        raise InputError(f'{path}: cannot be opened as HDF5: {error}') from error


def import_h5py() -> Any:
    """Import h5py; a MissingPackageError says how to install it."""
    with missing_packages_named():
        import h5py
    return h5py


def datasets_in(file: Any) -> Iterator[tuple[str, Any]]:
    """Names and datasets of a file, in groups too."""
    found: list[tuple[str, Any]] = []
    file.visititems(lambda name, item: found.append((os.fsdecode(name), item)))
    yield from ((name, item) for name, item in found if hasattr(item, 'dtype'))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; an InputError if it is none."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        return content
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not readable: delete it: {error}') from error

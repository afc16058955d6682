"""Feature storage: a folder of .npy files, or one HDF5 file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from .._atomic import atomic_write, name_file_on_error, write_json
from .._errors import InputError, escape_bytes
from .._packages import import_package

HDF5 = ('.h5', '.hdf5')

LONGEST = 255 - len('..partial.json')
"""Most bytes of a video's name, as file systems allow 255."""

IDENTITY = ('video', 'video_bytes')
"""Facts that identify a video. Older files have only the second."""


class FeatureFolder:
    """A folder with the features of each video, ``NAME.npy``, and its metadata, ``NAME.json``.

    ``NAME.json`` is written last. Settings are ``config`` and ``checkpoint`` as given by the user,
    ``stride``, and ``fingerprint``, a hash of everything else that features depend on. They are
    stored in ``settings.json``. Several processes may write features of different videos at the
    same time. ``names`` are those of the videos to come. Raises an InputError, before anything is
    written, if one cannot be stored; also if the folder has features with other settings, or is not
    writable.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str | int], names: Collection[str] = ()
    ) -> None:
        self.folder, self.settings = folder, settings
        self.check_names(names)
        self.report = folder / 'broken_videos.txt'
        path = folder / 'settings.json'
        if not path.exists():
            own = path.with_name(f'.settings-{os.getpid()}.json')  # other processes may write too
            with name_file_on_error(path):
                folder.mkdir(parents=True, exist_ok=True)
                own.write_text(json.dumps(settings, indent=2) + '\n', 'utf-8')
                own.replace(path)
        self.check(read_json(path), folder)

    def check(self, stored: Mapping[str, Any], where: Path) -> None:
        """Raise an InputError if stored features have other settings."""
        if any(stored.get(key) != self.settings[key] for key in ('stride', 'fingerprint')):
            raise InputError(
                f'{where}: holds features of {stored.get("config")} and '
                f'{stored.get("checkpoint")} with stride {stored.get("stride")}; the network, '
                'weights, pipeline or stride differ now: choose another output'
            )

    def check_names(self, names: Collection[str]) -> None:
        """Raise an InputError if features of a video of that name cannot be stored."""
        for name in names:
            if name == 'settings' or len(os.fsencode(Path(name).name)) > LONGEST:
                reason = 'the name is taken' if name == 'settings' else 'its name is too long'
                raise InputError(f'{name}: {reason}: rename the video')

    def stored_facts(self, name: str) -> Mapping[str, Any]:
        """Return the metadata of a video's features; empty if they are not complete."""
        path = self.folder / f'{name}.json'
        return read_json(path) if path.exists() else {}

    def has(self, name: str, video: str, video_bytes: int) -> bool:
        """Whether the features of a video are complete and its file has the same size.

        ``video`` is the fact of that name. Raises an InputError if the features are those of
        another video, which still exists.
        """
        return self.facts_of(name, video).get('video_bytes') == video_bytes

    def facts_of(self, name: str, video: str) -> Mapping[str, Any]:
        """Return the stored facts; raise an InputError if another video, which exists, has them."""
        facts = self.stored_facts(name)
        other = facts.get('video', video)
        if other != video and Path(other).exists():
            problem = f'the output has features of {other} as {name}'
            raise InputError(f'{video}: {problem}: choose another output')
        return facts

    def write(self, name: str, features: np.ndarray, facts: dict[str, Any]) -> None:
        """Write the features of a video, clips x ..., and metadata that JSON can hold."""
        self.facts_of(name, facts['video'])  # raises an error for another video
        npy = BytesIO()  # np.save to a file truncates it silently on a full disk
        np.save(npy, features)
        with atomic_write(self.folder / f'{name}.npy', parents=True) as partial:
            partial.write_bytes(npy.getbuffer())
        write_json(self.folder / f'{name}.json', facts, indent=None)

    def finish(self, all_done: bool) -> None:
        """Finish writing; ``all_done`` says whether all videos are done, not only a shard."""


class FeatureFile(FeatureFolder):
    """An HDF5 file with one dataset for each video, whose attributes are the video's metadata.

    Attributes of the file are the settings. Features are collected in the folder ``FILE.parts``;
    :meth:`finish` writes them to the file atomically and removes the folder.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, str | int], names: Collection[str] = ()
    ) -> None:
        self.path, self.settings = path, settings
        self.stored: dict[str, dict[str, Any]] = {}
        import_package('h5py')  # fail now if it is missing: finish() needs it
        if path.exists():
            with open_hdf5(path) as file:
                self.check(file.attrs, path)
                for name, dataset in datasets_in(file):
                    attributes = dataset.attrs
                    self.stored[name] = {k: attributes[k] for k in IDENTITY if k in attributes}
        super().__init__(path.with_name(f'{path.name}.parts'), settings, names)
        self.report = path.with_name(f'{path.stem}.broken_videos.txt')

    def check_names(self, names: Collection[str]) -> None:
        """Raise an InputError if a name cannot be stored, or is also the folder of another."""
        super().check_names(names)
        held = {*names, *self.stored}
        for name in held:
            if both := [str(parent) for parent in Path(name).parents if str(parent) in held]:
                reason = f'HDF5 cannot hold {both[0]} beside {name}'
                raise InputError(f'{self.path}: {reason}: rename one, or write a folder')

    def stored_facts(self, name: str) -> Mapping[str, Any]:
        """Return the metadata of a video's features; empty if they are not complete."""
        return super().stored_facts(name) or self.stored.get(name, {})

    def finish(self, all_done: bool) -> None:
        """Write the collected features to the file, if all videos are done."""
        if not all_done:
            print(f'when all parts are done, run without --shard to write {self.path}')
            return
        added = [*npy_files(self.folder)]
        there = self.path.exists()
        if added or not there:
            with atomic_write(self.path) as partial:
                if there:
                    shutil.copyfile(self.path, partial)
                try:
                    with open_hdf5(partial, 'a' if there else 'w') as file:
                        self.add(file, added)
                except RuntimeError as error:  # h5py's, on a full disk
                    problem = f'cannot write there: is the disk full? ({error})'
                    raise InputError(f'{self.path}: {problem}') from error
        shutil.rmtree(self.folder)

    def add(self, file: Any, videos: Iterable[tuple[str, Path]]) -> None:
        """Write the settings, names of videos and their .npy files to an HDF5 file."""
        file.attrs.update({k: plain(v) for k, v in self.settings.items()})
        for name, path in videos:
            if name in self.stored:
                del file[os.fsencode(name)]
            add_dataset(file, name, path)


def add_dataset(file: Any, name: str, path: Path) -> None:
    """Add a .npy file and the metadata beside it to an HDF5 file."""
    dataset = file.create_dataset(os.fsencode(name), data=np.load(path))
    facts = read_json(path.with_suffix('.json'))
    dataset.attrs.update({key: value for key, value in facts.items() if value is not None})


def plain(value: str | int) -> str | int:
    """Convert a setting to a value that an HDF5 attribute can hold."""
    return escape_bytes(value) if isinstance(value, str) else value


def open_features(
    out: Path, settings: Mapping[str, str | int], names: Collection[str] = ()
) -> FeatureFolder:
    """Open an output for features: an HDF5 file if the extension says so, else a folder."""
    return (FeatureFile if out.suffix in HDF5 else FeatureFolder)(out, settings, names)


def read_features(source: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names of videos and their features, clips x ..., from a folder or an HDF5 file.

    Raises an InputError if there are no features.
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
    """Yield names and .npy files of the videos whose features in a folder are complete."""
    for path in sorted(folder.rglob('*.npy')):
        if path.with_suffix('.json').exists():
            yield str(path.relative_to(folder))[: -len('.npy')], path


def open_hdf5(path: Path, mode: str = 'r') -> Any:
    """Open an HDF5 file; raise an InputError if it is invalid or h5py is missing."""
    try:
        # 'latest' allows attributes of any size.
        return import_package('h5py').File(path, mode, libver='latest')
    except OSError as error:
        raise InputError(f'{path}: cannot be opened as HDF5: {error}') from error


def datasets_in(file: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and datasets of a file, including those in groups."""
    found: list[tuple[str, Any]] = []
    file.visititems(lambda name, item: found.append((os.fsdecode(name), item)))
    yield from ((name, item) for name, item in found if hasattr(item, 'dtype'))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; raise an InputError if it is invalid."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        return content
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: not readable: delete it: {error}') from error

"""Override names in config files from which other values are derived, such as ``data_root``.

MMEngine overrides values after it has read a config and its base files, which is too late for such
names. This module overrides them in copies of the files: after each statement that sets a name,
alone or in a block such as ``if``, it inserts a statement that sets the new value.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from .._errors import InputError
from .config_check import RUN_KEYS
from .options import errors_of_option, parse_option

BLOCKS = (ast.If, ast.For, ast.While, ast.Try)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
SCOPES = (*FUNCTIONS, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
CONFIGS = Path(__file__).parents[1] / '.mim/configs'
OF_BASE = re.compile(r'\b_base_\.(\w+)')
FOLDER = re.compile(r'\{\{\s*fileDirname\s*\}\}')


def read_config(path: Path, options: Mapping[str, Any]) -> Config:
    """Read a config with new values of names, which options give by dotted keys.

    Raises an InputError if the config derives no value from a name.
    """
    if not options:
        return Config.fromfile(path)
    names = ConfigNames(path)
    values = {}
    for key, value in options.items():
        names.check(key)
        with errors_of_option(key, value):
            values[key] = parse_option(key, value, key in names.texts)
    return names.load(path, values)


def is_run_key(key: str) -> bool:
    """Whether a dotted key begins with a key that MMEngine's runner reads."""
    return key.partition('.')[0] in RUN_KEYS


class ConfigFile(NamedTuple):
    """A config in MMEngine's text format, or one of its base files."""

    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """Read a file."""
        text = path.read_text(encoding='utf-8')
        if 'read_base' in text:
            raise InputError(
                f'{path}: names in configs of the pure Python format cannot be overridden: '
                'override keys of the model, dataloaders and other parts of a run'
            )
        return cls(path, text, ast.parse(text, str(path)))

    def assignments(self) -> Iterator[tuple[ast.Assign, str]]:
        """Yield top-level assignments, once for each name that they set."""
        for node, name in self.statements():
            if isinstance(node, ast.Assign):
                yield node, name

    def statements(self) -> Iterator[tuple[ast.stmt, str]]:
        """Yield top-level assignments and blocks, once for each name that they set."""
        for node in self.tree.body:
            if isinstance(node, (ast.Assign, *BLOCKS)):
                yield from ((node, name) for name in dict.fromkeys(names_set(node)))

    def names_read(self) -> set[str]:
        """Return the names from which this file derives values."""
        names = (node for node in ast.walk(self.tree) if isinstance(node, ast.Name))
        read = {name.id for name in names if isinstance(name.ctx, ast.Load)}
        return read | {*OF_BASE.findall(self.text)}

    def bases(self) -> list[str]:
        """Return the base files, as named in this file."""
        for node, name in self.assignments():
            if name == '_base_':
                bases = ast.literal_eval(node.value)
                return [bases] if isinstance(bases, str) else list(bases)
        return []

    def override(self, values: Mapping[str, Any], bases: list[str]) -> str:
        """Return the text of this file with other base files, and new values by dotted keys."""
        lines = FOLDER.sub(self.path.parent.as_posix(), self.text).splitlines()
        for node, name in reversed([*self.statements()]):
            end = node.end_lineno or node.lineno
            if name == '_base_' and isinstance(node, ast.Assign):  # MMEngine uses the first one
                lines[node.lineno - 1 : end] = [f'_base_ = {bases!r}']
            lines[end:end] = [
                f'{place(key)} = {value!r}'
                for key, value in values.items()
                if key.partition('.')[0] == name
            ]
        return '\n'.join([*lines, ''])


class ConfigNames:
    """The names from which a config derives other values.

    Args:
        path (Path): The config file.

    Attributes:
        names (list[str]): The names.
        texts (set[str]): The names whose values are text.
    """

    def __init__(self, path: Path) -> None:
        self.files: dict[Path, ConfigFile] = {}
        self._read(path.resolve())
        files = [*self.files.values()]
        assignments = [pair for file in files for pair in file.assignments()]
        read = {name for file in files for name in file.names_read()}
        given = {name for _, name in assignments if name[0] != '_'}
        self.names = sorted(given & read - RUN_KEYS)
        self.texts = {name for node, name in assignments if is_text(node.value)}

    def _read(self, path: Path) -> None:
        self.files[path] = file = ConfigFile.read(path)
        for base in filter(None, self._bases(file)):
            if base not in self.files:
                self._read(base)

    def _bases(self, file: ConfigFile) -> list[Path | None]:
        """Return the base files of a file; None for another package's (``mmaction::...``)."""
        own = f'{__package__.partition(".")[0]}::'
        found: list[Path | None] = []
        for base in file.bases():
            folder = CONFIGS if base.startswith(own) else file.path.parent
            name = base[len(own) :] if base.startswith(own) else base
            found.append(None if '::' in name else (folder / name).resolve())
        return found

    def check(self, key: str) -> None:
        """Raise an InputError if no value is derived from the first name of a dotted key."""
        name = key.partition('.')[0]
        if name in self.names:
            return
        near = get_close_matches(name, [*RUN_KEYS, *self.names], 1)
        remedy = f'there is no {name} in this config'
        if near and near[0] != name:
            remedy = f'did you mean {near[0]}?'
        elif self.names:
            remedy = f'this config derives values from {", ".join(self.names)}'
        raise InputError(f'--cfg-options {key}: nothing reads it: {remedy}')

    def load(self, path: Path, values: Mapping[str, Any]) -> Config:
        """Read the config at ``path`` with new values of names, by dotted keys."""
        with tempfile.TemporaryDirectory() as folder:
            # Each file gets its own folder, because two may have the same name.
            copies = {
                original: Path(folder, str(number), original.name)
                for number, original in enumerate(self.files)
            }
            for original, file in self.files.items():
                found = zip(self._bases(file), file.bases())
                bases = [str(copies[base]) if base else name for base, name in found]
                copies[original].parent.mkdir()
                copies[original].write_text(file.override(values, bases), encoding='utf-8')
            cfg = Config.fromfile(copies[path.resolve()])
        return Config(cfg.to_dict(), cfg_text=cfg.text, filename=path)


def place(key: str) -> str:
    """Convert a dotted key to Python: ``pipeline[1]['size']`` for ``pipeline.1.size``."""
    name, *rest = key.split('.')
    return name + ''.join(f'[{int(word) if word.isdecimal() else word!r}]' for word in rest)


def names_set(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement sets, without those that are local to a part of it."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, SCOPES):
            yield from names_set(child)


def is_text(value: ast.expr) -> bool:
    """Whether an expression is a string or f-string."""
    constant = isinstance(value, ast.Constant) and isinstance(value.value, str)
    return constant or isinstance(value, ast.JoinedStr)

"""What goes wrong where a config is built, in a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from mmaction import registry as mmaction_registry
from mmengine.config import Config
from mmengine.registry import Registry

from .. import registry
from .._errors import InputError, first_line

UNREGISTERED = re.compile(r'(\S+) is not in the \S*?(?:::)?([\w ]+) registry')


@contextmanager
def errors_of(cfg: Config, key: str = '') -> Iterator[None]:
    """Raise what goes wrong in the block as an InputError that names the config file and a key."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a config builds objects of anyone's
        where = ': '.join(filter(None, (str(cfg.filename or 'config'), key)))
        raise InputError(f'{where}: {explain(error)}') from error


def build_dataset(cfg: Config, key: str, dataset: dict[str, Any]) -> Any:
    """Build a dataset of a config, that of a dataloader perhaps with other arguments.

    Raises an InputError that names the config and the key of the dataloader.
    """
    with errors_of(cfg, key):
        return mmaction_registry.DATASETS.build(dataset)


def explain(error: Exception) -> str:
    """First line of an error; the nearest registered name for one that is not registered."""
    line = first_line(error) or type(error).__name__
    if (match := UNREGISTERED.search(line)) is None:
        return line[:500]
    name, kind = match.groups()
    names = registered_names(kind)
    nearest = get_close_matches(name.rpartition('.')[2], names, 1)
    remedy = f': did you mean {names[nearest[0]]}?' if nearest else ''
    return f'{name} is not a registered {kind}{remedy}'


def registered_names(kind: str) -> dict[str, str]:
    """All names of a kind as a config writes them, by name without scope."""
    names: dict[str, str] = {}
    for module, scope in (mmaction_registry, ''), (registry, 'r21d_plugin.'):
        for item in vars(module).values():
            if isinstance(item, Registry) and item.name == kind:
                names.update({name: scope + name for name in item.module_dict})
                if not scope and item.parent is not None:
                    names.update({name: name for name in item.parent.module_dict})
    return names

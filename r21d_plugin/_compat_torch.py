"""What torch has in later releases than the oldest that this package runs with (1.13)."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

if hasattr(torch, 'compiler') and hasattr(torch.compiler, 'is_compiling'):  # torch 2.3
    is_compiling = torch.compiler.is_compiling
elif hasattr(torch, '_dynamo'):  # torch 2.1
    is_compiling = torch._dynamo.is_compiling
else:

    def is_compiling() -> bool:
        """Whether a compiler traces the caller; there is none."""
        return False


NEWEST = {np: (2, 5), torch: (2, 15)}
"""The newest releases that the tests were run with."""


def release(package: ModuleType) -> tuple[int, ...]:
    """First two numbers of a package's version."""
    return tuple(map(int, package.__version__.split('.')[:2]))


def untried() -> str | None:
    """Packages that are newer than any that the tests were run with; None if there is none."""
    newer = [f'{p.__name__} {p.__version__}' for p, tried in NEWEST.items() if release(p) > tried]
    return f'with {" and ".join(newer)}, newer than what the tests ran with' if newer else None


RECOMPUTES_WHEN_COMPILED = release(torch) >= (2, 9)
"""Whether a compiled graph that recomputes activations updates batch norm's statistics once.

Those of torch 2.6 to 2.8 do so twice; 2.5 and those before 2.4 were not tried.
"""


def autocast_dtype(device: str) -> torch.dtype | None:
    """Type that autocast computes in on a type of device; None where it is off."""
    if hasattr(torch, 'get_autocast_dtype'):  # torch 2.4
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if device == 'cpu':
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
    return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else None


def cpu_capability() -> str:
    """Instructions that torch's kernels use, such as ``'AVX2'`` or ``'AVX512'``."""
    if hasattr(torch.backends, 'cpu'):  # torch 2.1
        return torch.backends.cpu.get_cpu_capability()
    return torch.__config__.show().partition('CPU capability usage: ')[2].split('\n')[0]


def add_state_dict_hooks(
    module: nn.Module, save: Callable[..., Any], load: Callable[..., Any]
) -> None:
    """Call ``save`` after a module's state dict is made and ``load`` before one is loaded."""
    if hasattr(module, 'register_state_dict_post_hook'):  # torch 2.5
        module.register_state_dict_post_hook(save)
        module.register_load_state_dict_pre_hook(load)
    else:
        module._register_state_dict_hook(save)
        module._register_load_state_dict_pre_hook(load, with_module=True)


def load_data(path: Path, map_location: Any, names: Mapping[str, Any]) -> Any:
    """Load a file of torch that holds nothing but data, as ``weights_only=True`` does.

    ``names`` are what ``'module name'`` in the file stands for, beside torch's own.
    """
    if hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint'):  # torch 2.6
        known: Any = [(value, name.replace(' ', '.')) for name, value in names.items()]
        with torch.serialization.safe_globals(known):
            return torch.load(path, map_location=map_location, weights_only=True)
    if not zipfile.is_zipfile(path):
        return torch.load(path, map_location=map_location, weights_only=True)
    with zipfile.ZipFile(path) as archive:
        (program,) = (name for name in archive.namelist() if name.endswith('/data.pkl'))
        return ArchiveUnpickler(archive, program, map_location, names).load()


class ArchiveUnpickler(pickle.Unpickler):
    """Unpickler of a zip file of torch that finds only names that data needs."""

    def __init__(
        self, archive: zipfile.ZipFile, program: str, map_location: Any, names: Mapping[str, Any]
    ) -> None:
        super().__init__(BytesIO(archive.read(program)), encoding='utf-8')
        self.archive, self.folder = archive, program[: -len('.pkl')]
        self.map_location, self.names = map_location, names
        self.storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Find what a name stands for; an UnpicklingError for any that is not listed."""
        key = f'{module} {name}'.replace('__builtin__', 'builtins')  # Python 2's name
        found = self.names.get(key, tensor_names().get(key))
        if found is None:
            raise pickle.UnpicklingError(f'GLOBAL {module}.{name} is not data')
        return found

    def persistent_load(self, saved: Any) -> torch.Tensor:
        """Read a storage, as a tensor of one dimension."""
        _, dtype, key, device, _ = saved
        if key not in self.storages:
            content = bytearray(self.archive.read(f'{self.folder}/{key}'))
            self.storages[key] = from_bytes(content, dtype).to(self.map_location or device)
        return self.storages[key]


def from_bytes(content: bytearray, dtype: torch.dtype) -> torch.Tensor:
    """Tensor of one dimension in a buffer, which ``torch.frombuffer`` refuses if it is empty."""
    return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)


def rebuild_tensor(flat: torch.Tensor, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    """Replaces ``torch._utils._rebuild_tensor_v2``; refuses what its storage has no room for."""
    return flat.as_strided(size, stride, offset)


def rebuild_parameter(data: torch.Tensor, requires_grad: bool, *_: Any) -> nn.Parameter:
    """Replaces ``torch._utils._rebuild_parameter``."""
    return nn.Parameter(data, requires_grad)


@lru_cache(maxsize=None)
def tensor_names() -> dict[str, Any]:
    """What the names in a file of tensors stand for; a storage is known by its type of numbers."""
    named = {f'torch {name}': value for name, value in vars(torch).items()}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the first look at a storage says that it is deprecated
        types = {name: getattr(value, 'dtype', value) for name, value in named.items()}
    return {
        'builtins bytes': lambda: b'',  # how protocol 2 writes no bytes
        'builtins complex': complex,
        'builtins set': set,
        'collections Counter': Counter,
        'collections OrderedDict': OrderedDict,
        'torch Size': torch.Size,
        'torch device': torch.device,
        'torch._utils _rebuild_parameter': rebuild_parameter,
        'torch._utils _rebuild_tensor_v2': rebuild_tensor,
        **{name: value for name, value in types.items() if isinstance(value, torch.dtype)},
    }

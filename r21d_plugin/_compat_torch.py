"""What torch has in later releases than the oldest that this package runs with (1.13)."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

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


def add_state_dict_hooks(module: nn.Module, save: Callable, load: Callable) -> None:
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
    module: Any = ModuleType('pickles_of_data')
    module.Unpickler = type('Unpickler', (DataUnpickler,), dict(names=names))
    module.load = lambda *args, **kwargs: module.Unpickler(*args, **kwargs).load()
    # Safe, as that finds no other names.
    options = dict(pickle_module=module, weights_only=False)
    return torch.load(path, map_location=map_location, **options)


class DataUnpickler(pickle.Unpickler):
    """Unpickler of tensors and containers of them: finds only names that data needs."""

    names: Mapping[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Find what a name stands for; an UnpicklingError for any that is not listed."""
        known = self.names.get(f'{module} {name}', TENSOR_NAMES.get(f'{module} {name}'))
        if known is None:
            raise pickle.UnpicklingError(f'GLOBAL {module}.{name} is not data')
        return known


TENSOR_NAMES: dict[str, Any] = {
    'collections OrderedDict': OrderedDict,
    'torch Size': torch.Size,
    'torch device': torch.device,
    'torch._utils _rebuild_parameter': torch._utils._rebuild_parameter,
    'torch._utils _rebuild_tensor_v2': torch._utils._rebuild_tensor_v2,
    **{f'torch {n}': getattr(torch, n) for n in dir(torch) if n.endswith('Storage')},
    **{f'torch {n}': v for n, v in vars(torch).items() if isinstance(v, torch.dtype)},
}
"""What the names in a file of tensors stand for."""

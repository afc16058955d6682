"""What the installed stack gets wrong, one function each.

Every function steps aside where upstream is whole, and names the version that
makes it unnecessary as far as one exists. :func:`apply` runs them all; it is
called before anything else of this package is imported.
"""

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pickle import UnpicklingError
from types import ModuleType

import numpy as np
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from numpy._core import multiarray

from .errors import InputError


def apply() -> None:
    """Repair the stack. Safe to call more than once."""
    require_mmcv()
    stand_in_for_drn()
    allow_mmengine_checkpoints()


def require_mmcv() -> None:
    """Say how to install mmcv where it is missing.

    ``mmcv`` and ``mmcv-lite`` install into the same folder, so depending on
    either would damage a machine that has the other.

    Raises:
        ImportError: If neither is installed.
    """
    if importlib.util.find_spec('mmcv') is None:
        raise ImportError(
            "mmcv is missing: pip install 'r21d_plugin[lite]', or mmcv>=2.1,<2.2 for compiled ops"
        )


def stand_in_for_drn() -> None:
    """Stand in for ``mmaction.models.localizers.drn``.

    The wheel of mmaction2 1.2.0 lacks the folder, so that ``import
    mmaction.models`` fails; a git checkout has it. Unnecessary as soon as a
    release ships it (https://github.com/open-mmlab/mmaction2/issues/2714).
    """
    root = importlib.util.find_spec('mmaction')
    if root is None or not root.submodule_search_locations:
        return
    localizers = [f'{path}/models/localizers' for path in root.submodule_search_locations]
    name = 'mmaction.models.localizers.drn'
    finder = importlib.machinery.PathFinder
    if name in sys.modules or finder.find_spec(name, localizers) is not None:
        return

    class DRN(torch.nn.Module):
        """Absent from this build of mmaction2."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            raise InputError(
                "DRN is not in mmaction2's wheel: install mmaction2 from a git checkout to use it"
            )

    package, module = ModuleType(name), ModuleType(f'{name}.drn')
    package.__path__ = []
    module.DRN = package.DRN = DRN  # type: ignore[attr-defined]
    package.drn = module  # type: ignore[attr-defined]
    sys.modules[name], sys.modules[f'{name}.drn'] = package, module


def allow_mmengine_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)`` read MMEngine's own checkpoints.

    MMEngine 0.10.7 pickles its message hub, with numpy scalars inside, into
    every checkpoint and loads it without ``weights_only``, which torch 2.6 and
    later refuse. What is admitted here only holds data; of ``getattr``, which
    the buffers pickle their methods with, no more than that use.
    """
    scalars = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, bool)}
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (statistics_method, 'builtins.getattr'),
            np.dtype,
            np.ndarray,
            (multiarray._reconstruct, 'numpy.core.multiarray._reconstruct'),
            (multiarray._reconstruct, 'numpy._core.multiarray._reconstruct'),
            (multiarray.scalar, 'numpy.core.multiarray.scalar'),
            (multiarray.scalar, 'numpy._core.multiarray.scalar'),
            *scalars,
        ]
    )


def statistics_method(owner: type, name: str) -> Callable:
    """Look up a statistic of MMEngine's HistoryBuffer, and nothing else.

    Raises:
        UnpicklingError: If something else is asked for.
    """
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise UnpicklingError(f'getattr({owner!r}, {name!r}) in a checkpoint')
    return getattr(HistoryBuffer, name)

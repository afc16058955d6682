"""Import MMAction2's models despite defects of the released packages.

The wheel of mmaction2 1.2.0 lacks a folder that a git checkout has
(https://github.com/open-mmlab/mmaction2/issues/2714), and mmcv or the requirements of its
multimodal models may be missing.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

from ._packages import missing

PACKAGE = 'mmaction.models.localizers.drn'


def DRN(*args: object, **kwargs: object) -> None:  # noqa: N802
    """Stand-in for a model that this build of mmaction2 does not contain."""
    raise ImportError('DRN is not in the wheel of mmaction2: install that from a git checkout')


class DRNFinder(Loader):
    """Finder for the missing package and its module ``drn``, used after all other finders fail."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find either."""
        missing = name in (PACKAGE, f'{PACKAGE}.drn')
        return ModuleSpec(name, cls(), is_package=True) if missing else None

    def exec_module(self, module: ModuleType) -> None:
        """Populate the module."""
        module.DRN = DRN  # type: ignore[attr-defined]


def import_models() -> None:
    """Import ``mmaction.models``, with placeholders for modules that cannot be imported.

    ``mmcv`` and ``mmcv-lite`` install into the same folder, so we depend on neither. MMAction2's
    own placeholders replace multimodal models that fail to import with transformers 5 or without
    timm.
    """
    if importlib.util.find_spec('mmcv') is None:
        raise missing('mmcv')
    sys.meta_path.append(DRNFinder)
    with warnings.catch_warnings():
        # mmcv-lite recommends installing mmcv for a transformer.
        warnings.filterwarnings('ignore', 'Fail to import ``MultiScaleDeformableAttention``')
        try:
            importlib.import_module('mmaction.models')
        except ImportError:
            from mmaction.utils import dependency

            dependency.WITH_MULTIMODAL = False
            importlib.import_module('mmaction.models')

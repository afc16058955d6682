"""Import MMAction2's models where the released packages do not let them import.

Three things stand in the way: a missing mmcv, a folder that the wheel of mmaction2 1.2.0 lacks
(https://github.com/open-mmlab/mmaction2/issues/2714; a git checkout has it), and a transformers
that its multimodal models cannot use. The finder for the folder comes last in ``sys.meta_path``: it
is asked for nothing that really exists.
"""

import importlib
import importlib.util
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = 'mmaction.models.localizers.drn'


class DRN:
    """Stand-in for a model that this build of mmaction2 does not contain."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise ImportError(
            'DRN is not in the wheel of mmaction2: install mmaction2 from a git checkout to use it'
        )


class DRNFinder:
    """Finds the missing package and its module ``drn``."""

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find either, after every other finder has failed."""
        if name not in (PACKAGE, f'{PACKAGE}.drn'):
            return None
        return ModuleSpec(name, cls, is_package=name == PACKAGE)  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leave creating the module to Python."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Fill the module."""
        module.DRN = DRN  # type: ignore[attr-defined]


def import_models() -> None:
    """Import ``mmaction.models``, with placeholders for what it cannot import.

    Beside any transformers from 4.28 on mmaction2 1.2.0 imports its multimodal models, hence timm,
    which it does not demand, and what transformers 5 no longer has. Its own placeholders take their
    place, as where transformers is missing.

    Raises:
        MissingPackageError: If mmcv is missing. ``mmcv`` and ``mmcv-lite`` install into the same
            folder, so depending on either would damage a machine that has the other.
    """
    if importlib.util.find_spec('mmcv') is None:
        from ._errors import MissingPackageError

        raise MissingPackageError(
            "mmcv is missing: pip install 'r21d_plugin[lite]', or mmcv>=2.1,<2.2 for compiled ops"
        )
    if DRNFinder not in sys.meta_path:
        sys.meta_path.append(DRNFinder)
    with warnings.catch_warnings():
        # mmcv-lite advises to install mmcv for a transformer.
        warnings.filterwarnings(
            'ignore', message='Fail to import ``MultiScaleDeformableAttention``'
        )
        try:
            importlib.import_module('mmaction.models')
        except ImportError:
            dependency: Any = importlib.import_module('mmaction.utils.dependency')
            dependency.WITH_MULTIMODAL = False
            importlib.import_module('mmaction.models')

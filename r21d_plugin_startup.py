"""Let ``mmaction.models`` import where its wheel lacks a folder.

The wheel of mmaction2 1.2.0 has no ``mmaction/models/localizers/drn/``, so
that building any model fails, ours inside somebody else's config included
(https://github.com/open-mmlab/mmaction2/issues/2714). A git checkout has it,
and so may a later release.

An installed r21d_plugin imports this module whenever Python starts (by
``r21d_plugin_startup.pth``), hence it imports next to nothing. The finder it
adds comes last and so is asked for nothing that really exists.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

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


def install() -> None:
    """Add the finder, once."""
    if DRNFinder not in sys.meta_path:
        sys.meta_path.append(DRNFinder)


install()

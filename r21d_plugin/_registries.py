"""The registries of scope ``r21d_plugin``, which :mod:`r21d_plugin.registry` fills."""

from __future__ import annotations

from typing import Any

from mmengine import registry

from ._mm_import import import_models

import_models()


class SharedRegistry(registry.Registry):
    """A registry whose classes are found without its scope too, where nobody has taken the name.

    They are entered into MMEngine's own registry, which all others ask last, so they never hide a
    class of the same name. With ``_scope_='r21d_plugin'``, names that are not ours are MMAction2's.
    """

    def __init__(self, parent: registry.Registry) -> None:
        locations = ['r21d_plugin.registry']
        super().__init__(parent.name, parent=parent, scope='r21d_plugin', locations=locations)

    def register_module(
        self, name: Any = None, force: bool = False, module: type | None = None
    ) -> Any:
        """Register a class, as MMEngine's registries do."""
        if module is None:
            return lambda cls: self.register_module(name, force, cls)
        super().register_module(name, force, module)
        bare = name or module.__name__
        if not any(bare in other.module_dict for other in (self.parent, self._mmaction)):
            self.parent.register_module(bare, module=module)
        return module

    @property
    def _mmaction(self) -> registry.Registry:
        return self.parent.children.get('mmaction', self.parent)

    def get(self, key: str) -> Any:
        """Find a class by its name: here, else where MMAction2 would."""
        if '.' in key or key in self.module_dict:
            return super().get(key)
        return self._mmaction.get(key)


MODELS = SharedRegistry(registry.MODELS)
DATASETS = SharedRegistry(registry.DATASETS)
TRANSFORMS = SharedRegistry(registry.TRANSFORMS)
DATA_SAMPLERS = SharedRegistry(registry.DATA_SAMPLERS)
METRICS = SharedRegistry(registry.METRICS)
HOOKS = SharedRegistry(registry.HOOKS)
WEIGHT_INITIALIZERS = SharedRegistry(registry.WEIGHT_INITIALIZERS)
OPTIM_WRAPPERS = SharedRegistry(registry.OPTIM_WRAPPERS)
PARAM_SCHEDULERS = SharedRegistry(registry.PARAM_SCHEDULERS)

"""The registries of scope ``r21d_plugin``, which :mod:`r21d_plugin.registry` fills."""

import mmengine.registry
from mmengine.registry import Registry

from ._mm_import import import_models

import_models()


class SharedRegistry(Registry):
    """A registry whose classes are found without its scope too, where nobody has taken the name.

    They are entered into MMEngine's own registry, which all others ask last: so they never stand in
    the way of a class of the same name in MMAction2's registry or another's.
    """

    def register_module(self, name=None, force=False, module=None):
        """Register a class, as MMEngine's registries do."""
        if module is None:
            return lambda cls: self.register_module(name, force, cls)
        super().register_module(name, force, module)
        bare = name or module.__name__
        if bare not in self.parent.module_dict:
            self.parent.register_module(bare, module=module)
        return module


def _child(name: str) -> SharedRegistry:
    parent = getattr(mmengine.registry, name)
    return SharedRegistry(
        parent.name, parent=parent, scope='r21d_plugin', locations=['r21d_plugin.registry']
    )


MODELS = _child('MODELS')
DATASETS = _child('DATASETS')
TRANSFORMS = _child('TRANSFORMS')
DATA_SAMPLERS = _child('DATA_SAMPLERS')
METRICS = _child('METRICS')
HOOKS = _child('HOOKS')
WEIGHT_INITIALIZERS = _child('WEIGHT_INITIALIZERS')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS')

"""The registries of scope ``r21d_plugin``.

MMEngine imports this module by itself when it meets ``type='r21d_plugin.X'``,
so a scoped name works in any config without ``custom_imports``. The same
objects are entered into MMAction2's registries under their bare names (see
:func:`share_with_mmaction`), for configs that do import the package.
"""

import mmengine.registry
from mmengine.registry import Registry

SCOPE = 'r21d_plugin'


def _child(name: str, location: str) -> Registry:
    parent = getattr(mmengine.registry, name)
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=[f'{SCOPE}.{location}'])


MODELS = _child('MODELS', 'models')
DATASETS = _child('DATASETS', 'datasets')
TRANSFORMS = _child('TRANSFORMS', 'datasets')
DATA_SAMPLERS = _child('DATA_SAMPLERS', 'datasets')
METRICS = _child('METRICS', 'evaluation')
HOOKS = _child('HOOKS', 'engine')
WEIGHT_INITIALIZERS = _child('WEIGHT_INITIALIZERS', 'weights')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'engine')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS', 'engine')


def share_with_mmaction() -> None:
    """Enter everything registered here into MMAction2's registries too."""
    import mmaction.registry

    ours = {name: value for name, value in globals().items() if isinstance(value, Registry)}
    for name, registry in ours.items():
        theirs = getattr(mmaction.registry, name)
        for type_name, cls in registry.module_dict.items():
            theirs.register_module(name=type_name, module=cls)

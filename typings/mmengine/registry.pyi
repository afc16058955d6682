from contextlib import AbstractContextManager
from typing import Any

class Registry:
    parent: Registry
    @property
    def name(self) -> str: ...
    @property
    def children(self) -> dict[str, Registry]: ...
    @property
    def module_dict(self) -> dict[str, Any]: ...
    def __init__(
        self,
        name: str,
        build_func: Any = None,
        parent: Registry | None = None,
        scope: str | None = None,
        locations: list[str] = ...,
    ) -> None: ...
    def get(self, key: str) -> Any: ...
    def switch_scope_and_registry(self, scope: str | None) -> AbstractContextManager[Registry]: ...
    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any: ...
    def register_module(
        self, name: Any = None, force: bool = False, module: type | None = None
    ) -> Any: ...

DATASETS: Registry
DATA_SAMPLERS: Registry
HOOKS: Registry
METRICS: Registry
MODELS: Registry
OPTIMIZERS: Registry
OPTIM_WRAPPERS: Registry
PARAM_SCHEDULERS: Registry
TRANSFORMS: Registry
WEIGHT_INITIALIZERS: Registry

def init_default_scope(scope: str) -> None: ...

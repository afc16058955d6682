from contextlib import AbstractContextManager
from typing import Any

from torch import nn

class BaseOptimWrapper:
    optimizer: Any
    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

class OptimWrapper(BaseOptimWrapper):
    def optim_context(self, model: nn.Module) -> AbstractContextManager[None]: ...

class LinearLR:
    def __init__(self, optimizer: Any, *args: Any, **kwargs: Any) -> None: ...

def build_optim_wrapper(model: nn.Module, cfg: dict[str, Any]) -> OptimWrapper: ...

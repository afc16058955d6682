from abc import ABCMeta, abstractmethod
from typing import Any

class BaseTransform(metaclass=ABCMeta):
    def __call__(self, results: dict[str, Any]) -> Any: ...
    @abstractmethod
    def transform(self, results: dict[str, Any]) -> Any: ...

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any

class BaseMetric(metaclass=ABCMeta):
    default_prefix: str | None
    prefix: str | None
    results: list[Any]
    dataset_meta: dict[str, Any] | None
    def __init__(
        self, collect_device: str = 'cpu', prefix: str | None = None, collect_dir: str | None = None
    ) -> None: ...
    @abstractmethod
    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None: ...
    @abstractmethod
    def compute_metrics(self, results: list[Any]) -> dict[str, Any]: ...
    def evaluate(self, size: int) -> dict[str, Any]: ...

class Evaluator:
    metrics: list[BaseMetric]
    dataset_meta: dict[str, Any] | None

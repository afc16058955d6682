from collections.abc import Callable, Sequence
from typing import Any

from torch.utils.data import Dataset

class Compose:
    transforms: list[Any]
    def __init__(self, transforms: Sequence[Any] | None) -> None: ...
    def __call__(self, data: dict[str, Any]) -> Any: ...

class BaseDataset(Dataset[dict[str, Any]]):
    ann_file: str
    data_prefix: dict[str, Any]
    max_refetch: int
    pipeline: Any
    test_mode: bool
    @property
    def metainfo(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, idx: int) -> dict[str, Any]: ...
    def get_data_info(self, idx: int) -> dict[str, Any]: ...
    def load_data_list(self) -> list[dict[str, Any]]: ...
    def prepare_data(self, idx: int) -> Any: ...
    def _rand_another(self) -> int: ...

class ConcatDataset:
    cumulative_sizes: list[int]
    datasets: list[Any]
    get_cat_ids: Callable[..., list[int]]

class RepeatDataset:
    dataset: Any
    get_cat_ids: Callable[..., list[int]]

def pseudo_collate(data_batch: Sequence[Any]) -> Any: ...
def worker_init_fn(
    worker_id: int, num_workers: int, rank: int, seed: int, disable_subprocess_warning: bool = False
) -> None: ...

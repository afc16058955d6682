from collections.abc import Sequence
from typing import Any

from mmengine.dataset import BaseDataset

class VideoDataset(BaseDataset):
    delimiter: str
    modality: str
    multi_class: bool
    num_classes: Any
    start_index: int
    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[Any] = (),
        data_prefix: dict[str, Any] = ...,
        multi_class: bool = False,
        num_classes: int | None = None,
        **kwargs: Any,
    ) -> None: ...

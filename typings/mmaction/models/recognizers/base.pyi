from typing import Any

from mmengine.model import BaseModel

class BaseRecognizer(BaseModel):
    backbone: Any
    cls_head: Any
    dataset_meta: Any
    test_cfg: Any
    def __init__(self, backbone: dict[str, Any], **kwargs: Any) -> None: ...
    def forward(
        self, inputs: Any, data_samples: Any = None, mode: str = 'tensor', **kwargs: Any
    ) -> Any: ...

from typing import Any

from mmaction.utils import SampleList
from mmengine.model import BaseModule
from torch import Tensor

class BaseHead(BaseModule):
    average_clips: str | None
    in_channels: int
    label_smooth_eps: float
    loss_cls: Any
    num_classes: int
    def __init__(self, num_classes: int, in_channels: int, **kwargs: Any) -> None: ...
    def forward(self, *args: Any, **kwargs: Any) -> Tensor: ...
    def loss_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> dict[str, Tensor]: ...
    def predict_by_feat(self, cls_scores: Tensor, data_samples: SampleList) -> SampleList: ...
    def average_clip(self, cls_scores: Tensor, num_segs: int = 1) -> Tensor: ...

from typing import Any

from mmaction.models.heads.base import BaseHead
from mmaction.models.losses.base import BaseWeightedLoss
from mmaction.models.recognizers.base import BaseRecognizer
from torch import nn

class BCELossWithLogits(BaseWeightedLoss): ...

class I3DHead(BaseHead):
    fc_cls: nn.Linear
    def __init__(
        self, num_classes: int, in_channels: int, *, dropout_ratio: float = 0.5, **kwargs: Any
    ) -> None: ...

class Recognizer3D(BaseRecognizer): ...

class ResNet2Plus1d(nn.Module):
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

from typing import Any

from torch import nn

class BaseWeightedLoss(nn.Module):
    loss_weight: float
    def __init__(self, loss_weight: float = 1.0) -> None: ...
    def _forward(self, *args: Any, **kwargs: Any) -> Any: ...

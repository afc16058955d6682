from typing import Any, TypeVar

from mmengine.structures import BaseDataElement

S = TypeVar('S', bound=ActionDataSample)

class ActionDataSample(BaseDataElement):
    def set_gt_label(self: S, value: Any) -> S: ...
    def set_pred_label(self: S, value: Any) -> S: ...
    def set_pred_score(self: S, value: Any) -> S: ...

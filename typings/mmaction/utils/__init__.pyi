from mmaction.structures import ActionDataSample
from typing_extensions import TypeAlias

SampleList: TypeAlias = list[ActionDataSample]

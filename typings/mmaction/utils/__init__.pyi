from mmaction.structures import ActionDataSample

SampleList = list[ActionDataSample]

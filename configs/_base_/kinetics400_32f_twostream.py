_base_ = 'kinetics400_32f.py'
from r21d_plugin.datasets import pipelines

model = dict(
    _delete_=True,
    type='r21d_plugin.TwoStreamRecognizer',
    backbone=dict(
        type='r21d_plugin.TwoStreamBackbone',
        rgb=dict(),
        flow=dict(in_channels=2),
    ),
    cls_head=dict(type='r21d_plugin.TwoStreamHead', num_classes=_base_.num_classes),
    data_preprocessor=dict(
        type='MultiModalDataPreprocessor',
        preprocessors=dict(imgs=_base_.model.data_preprocessor, flow=_base_.flow_preprocessor),
    ),
    test_cfg=_base_.model.test_cfg,
)

train_pipeline = pipelines.with_two_streams(_base_.train_pipeline)
val_pipeline = pipelines.with_two_streams(_base_.val_pipeline)
test_pipeline = pipelines.with_two_streams(_base_.test_pipeline)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

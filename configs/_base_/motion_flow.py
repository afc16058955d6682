_base_ = 'motion.py'
from r21d_plugin.datasets import pipelines

model = dict(
    backbone=dict(in_channels=2),
    data_preprocessor=_base_.flow_preprocessor,
)

train_pipeline = pipelines.with_flow(_base_.train_pipeline)
val_pipeline = pipelines.with_flow(_base_.val_pipeline)
test_pipeline = pipelines.with_flow(_base_.test_pipeline)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

_base_ = 'kinetics400.py'
from r21d_plugin.datasets import pipelines

train_pipeline = pipelines.with_clip_len(_base_.train_pipeline, 16)
val_pipeline = pipelines.with_clip_len(_base_.val_pipeline, 16)
test_pipeline = pipelines.with_clip_len(_base_.test_pipeline, 16)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

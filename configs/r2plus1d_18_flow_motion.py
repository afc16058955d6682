_base_ = ['_base_/recognizer_flow.py', '_base_/motion.py']
from r21d_plugin.datasets import pipelines

model = dict(
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=8),
    cls_head=dict(num_classes=_base_.num_classes, in_channels=64),
)
clip_len = 8
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    clip_len, stream='flow', scale=(64, 64), crop=48, flip=0
)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

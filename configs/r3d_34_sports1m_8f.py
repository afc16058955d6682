_base_ = ['_base_/recognizer.py', '_base_/sports1m.py', '_base_/recipe_45e.py']
from r21d_plugin.datasets import pipelines

model = dict(
    backbone=dict(type='r21d_plugin.R3D', depth=34),
    cls_head=dict(num_classes=_base_.num_classes),
)
clip_len = 8
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len, test_clips=100)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

_base_ = ['_base_/recognizer.py', '_base_/kinetics400.py', '_base_/recipe_45e.py']
from r21d_plugin.datasets import pipelines

model = dict(
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=18),
    cls_head=dict(num_classes=_base_.num_classes),
)
clip_len = 40
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

# Finetuned from weights that VMZ publishes, with the recipe for Kinetics.
_base_ = ['_base_/r2plus1d_152.py', '_base_/ucf101.py', '_base_/recipe_ucf101.py']
from r21d_plugin.datasets import pipelines

model = dict(cls_head=dict(num_classes=_base_.num_classes))
load_from = _base_.ig65m
clip_len = 32
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

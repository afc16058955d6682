_base_ = ['_base_/recognizer_flow.py', '_base_/ucf101.py', '_base_/recipe_ucf101.py']
from r21d_plugin.datasets import pipelines

model = dict(
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=34),
    cls_head=dict(num_classes=_base_.num_classes),
)
load_from = 'work_dirs/r2plus1d_34_flow_kinetics/epoch_45.pth'
clip_len = 32
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len, stream='flow')
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

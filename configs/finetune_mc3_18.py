_base_ = '_base_/finetune.py'
from r21d_plugin.datasets import pipelines
from r21d_plugin.engine import finetuning

weights = 'torchvision_kinetics_16f'
pretrained = finetuning.pretrained('mc3_18', weights)
clip_len, target_fps, scale, crop = pretrained['input']
model = dict(
    backbone=pretrained['backbone'],
    cls_head=dict(in_channels=pretrained['num_features']),
    data_preprocessor=dict(mean=pretrained['mean'], std=pretrained['std']),
)
load_from = pretrained['checkpoint']
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    clip_len,
    target_fps=target_fps,
    scale=scale,
    crop=crop,
    flip=_base_.flip,
    crop_area=_base_.crop_area,
    color=_base_.color,
)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

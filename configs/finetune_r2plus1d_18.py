_base_ = '_base_/finetune.py'
from r21d_plugin.datasets import pipelines
from r21d_plugin.engine import finetuning

weights = 'torchvision_kinetics_16f'
model, load_from, clip_input = finetuning.pretrained('r2plus1d_18', weights)
clip_len, target_fps, scale, crop = clip_input
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    clip_len, target_fps=target_fps, scale=scale, crop=crop, **_base_.augmentation
)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

_base_ = 'kinetics400.py'
from r21d_plugin.datasets import pipelines

clip_len = 16
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

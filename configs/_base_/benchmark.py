# Shared by the paper's four benchmarks: the clips (8 frames here) of Section 4.1.
# Each benchmark adds its annotation files.
_base_ = ['default_runtime.py', 'dataloaders.py']
from r21d_plugin.datasets import pipelines

clip_len = 8
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

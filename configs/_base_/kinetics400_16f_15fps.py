# Kinetics-400 as torchvision's weights were trained: clips of 16 frames at 15 frames
# a second, whatever the rate of the videos, and 5 clips in a test.
_base_ = 'kinetics400.py'
from r21d_plugin.datasets import pipelines

clip_len = 16
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    clip_len, target_fps=15, test_clips=5
)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

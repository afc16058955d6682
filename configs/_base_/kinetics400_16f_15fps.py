# Kinetics-400 as torchvision's weights saw it: 16 frames, 15 of them a second
# whatever the videos have, and 5 clips in a test.
_base_ = 'kinetics400.py'
from r21d_plugin.datasets import pipelines

clip_len = 16
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    clip_len, target_fps=15, test_clips=5
)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

# Kinetics-400 as torchvision's weights saw it: 16 frames, of videos of 30 frames
# a second every other one, and 5 clips in a test.
_base_ = 'kinetics400.py'
from r21d_plugin.datasets import pipelines

sampling = dict(clip_len=16, frame_interval=2)
train_pipeline = pipelines.with_sampling(_base_.train_pipeline, **sampling)
val_pipeline = pipelines.with_sampling(_base_.val_pipeline, **sampling)
test_pipeline = pipelines.with_sampling(_base_.test_pipeline, **sampling, num_clips=5)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

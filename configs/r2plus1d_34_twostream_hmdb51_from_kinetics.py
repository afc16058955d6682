_base_ = ['_base_/recognizer_twostream.py', '_base_/hmdb51.py', '_base_/recipe_hmdb51.py']
from r21d_plugin.datasets import pipelines

network = dict(type='r21d_plugin.R2Plus1D', depth=34)
model = dict(
    backbone=dict(rgb=network, flow=network),
    cls_head=dict(num_classes=_base_.num_classes),
)
load_from = 'work_dirs/r2plus1d_34_twostream_kinetics/epoch_45.pth'
clip_len = 32
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len, stream='twostream')
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

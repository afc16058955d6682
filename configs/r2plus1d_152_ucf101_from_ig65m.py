# Finetuned from weights that VMZ publishes, with the recipe for Kinetics.
_base_ = ['_base_/recognizer.py', '_base_/ucf101.py', '_base_/recipe_ucf101.py']
from r21d_plugin.datasets import pipelines

model = dict(
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=152),
    cls_head=dict(in_channels=2048, num_classes=_base_.num_classes),
)
load_from = (
    'https://www.dropbox.com/s/oqdg176p7nqc84v/'
    'r2plus1d_152_ig65m_from_scratch_f106380637.pkl?dl=1'
    '#/r2plus1d_152_ig65m_from_scratch_f106380637.pkl'
)
clip_len = 32
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(clip_len)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)

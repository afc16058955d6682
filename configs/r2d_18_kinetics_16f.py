_base_ = ['_base_/recognizer.py', '_base_/kinetics400_16f.py', '_base_/recipe_45e.py']

model = dict(
    backbone=dict(type='r21d_plugin.R2D', depth=18, clip_len=_base_.clip_len),
    cls_head=dict(num_classes=_base_.num_classes),
)

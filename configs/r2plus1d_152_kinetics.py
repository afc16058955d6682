_base_ = ['_base_/recognizer.py', '_base_/kinetics400_32f.py', '_base_/recipe_45e.py']

model = dict(
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=152),
    cls_head=dict(in_channels=2048, num_classes=_base_.num_classes),
)

_base_ = ['_base_/recognizer.py', '_base_/kinetics400_16f_15fps.py', '_base_/recipe_45e.py']

model = dict(
    backbone=dict(type='r21d_plugin.R3D', depth=18, norm_cfg=dict(type='BN3d', eps=1e-5)),
    cls_head=dict(num_classes=_base_.num_classes),
)

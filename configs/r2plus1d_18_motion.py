_base_ = ['_base_/recognizer.py', '_base_/motion.py']

model = dict(
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=18, base_channels=8),
    cls_head=dict(num_classes=_base_.num_classes, in_channels=64),
)

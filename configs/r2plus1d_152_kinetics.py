_base_ = ['_base_/r2plus1d_152.py', '_base_/kinetics400_32f.py', '_base_/recipe_45e.py']

model = dict(cls_head=dict(num_classes=_base_.num_classes))

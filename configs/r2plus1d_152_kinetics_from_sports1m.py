# Finetuned from weights that VMZ publishes, with the recipe for Sports-1M.
_base_ = ['_base_/r2plus1d_152.py', '_base_/kinetics400_32f.py', '_base_/recipe_15e.py']

model = dict(cls_head=dict(num_classes=_base_.num_classes))
load_from = _base_.sports1m

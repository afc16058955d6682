# Finetuned from weights that ig65m-pytorch publishes, with the recipe for Sports-1M.
_base_ = ['_base_/recognizer.py', '_base_/kinetics400.py', '_base_/recipe_15e.py']

model = dict(
    backbone=dict(type='r21d_plugin.R2Plus1D', depth=34),
    cls_head=dict(num_classes=_base_.num_classes),
)
load_from = (
    'https://github.com/moabitcoin/ig65m-pytorch/releases/download/v1.0.0/'
    'r2plus1d_34_clip8_ig65m_from_scratch-9bae36ae.pth'
)

_base_ = ['_base_/kinetics400_32f_twostream.py', '_base_/recipe_45e.py']

network = dict(type='r21d_plugin.R2Plus1D', depth=34)
model = dict(backbone=dict(rgb=network, flow=network))

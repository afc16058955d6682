_base_ = ['_base_/kinetics400_32f_flow.py', '_base_/recipe_45e.py']

model = dict(backbone=dict(type='r21d_plugin.R2Plus1D', depth=34))

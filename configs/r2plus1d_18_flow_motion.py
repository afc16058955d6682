_base_ = ['_base_/motion_flow.py']

model = dict(backbone=dict(type='r21d_plugin.R2Plus1D', depth=18))

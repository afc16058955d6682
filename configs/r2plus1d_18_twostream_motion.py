_base_ = ['_base_/motion_twostream.py']

network = dict(type='r21d_plugin.R2Plus1D', depth=18)
model = dict(backbone=dict(rgb=network, flow=network))

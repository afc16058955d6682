_base_ = ['_base_/motion.py']

model = dict(backbone=dict(type='r21d_plugin.FR2D', depth=18))

# Section 4.1: 45 epochs of 1M clips; a rate of 0.01 for every GPU and its 32
# clips, warmed up over 10 epochs and divided by 10 every 10 epochs after that.
# Momentum is Nesterov's, as in the authors' release, which (unlike this) decays no biases.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=45, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
)
auto_scale_lr = dict(enable=True, base_batch_size=32)
param_scheduler = [
    dict(type='r21d_plugin.GradualWarmupLR', begin=0, end=10, convert_to_iter_based=True),
    dict(type='MultiStepLR', milestones=[20, 30, 40], gamma=0.1),
]

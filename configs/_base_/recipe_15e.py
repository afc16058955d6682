# Kinetics from Sports-1M, as in the authors' release: a tenth of the rate, 15 epochs
# of 1M clips, rate divided by 10 every 4 epochs.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=15, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, nesterov=True, weight_decay=1e-4)
)
auto_scale_lr = dict(enable=True, base_batch_size=32)
param_scheduler = [dict(type='MultiStepLR', milestones=[4, 8, 12], gamma=0.1)]

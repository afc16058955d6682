# HMDB51 from Kinetics, as in the authors' release: a rate of 2e-4 for every GPU and its
# 4 clips, 8 epochs, rate divided by 10 every 2 epochs.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=8, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=2e-4, momentum=0.9, nesterov=True, weight_decay=5e-3)
)
auto_scale_lr = dict(enable=True, base_batch_size=4)
param_scheduler = [dict(type='MultiStepLR', milestones=[2, 4, 6], gamma=0.1)]

# The motion dataset (experiments.make_motion): 8-frame clips of 48 x 48
# pixels, a recipe that takes minutes on a CPU, and networks of an eighth of the width.
_base_ = ['default_runtime.py', 'dataloaders.py']
from r21d_plugin.datasets import pipelines

data_root = 'data/motion'
num_classes = 10

# Not mirrored: the mirror image of a motion is another class.
clip_len = 8
train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    clip_len, scale=(64, 64), crop=48, flip=0
)

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    sampler=dict(epoch_size=500),
    dataset=dict(
        ann_file=f'{data_root}/motion_train_list_videos.txt',
        data_prefix=dict(video=f'{data_root}/videos_train'),
        num_classes=num_classes,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        ann_file=f'{data_root}/motion_val_list_videos.txt',
        data_prefix=dict(video=f'{data_root}/videos_val'),
        num_classes=num_classes,
        pipeline=val_pipeline,
    ),
)
test_dataloader = dict(
    num_workers=2, dataset=dict(val_dataloader['dataset'], pipeline=test_pipeline)
)

# A short form of the paper's recipe: warm-up, then steps of a tenth.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10, val_interval=10)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(enable=True, base_batch_size=16)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='MultiStepLR', milestones=[7, 9], gamma=0.1),
]

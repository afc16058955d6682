# The motion dataset (tools/data/make_motion.py): 8-frame clips of 48 x 48
# pixels, a recipe of minutes for a CPU and networks of an eighth of the width.
_base_ = ['default_runtime.py', 'dataloaders.py']

num_classes = 10

data_root = 'data/motion/videos_train'
data_root_val = 'data/motion/videos_val'
ann_file_train = 'data/motion/motion_train_list_videos.txt'
ann_file_val = 'data/motion/motion_val_list_videos.txt'

# Not mirrored: the mirror image of a motion is another class.
train_pipeline = [
    dict(type='r21d_plugin.DecordClipInit'),
    dict(type='r21d_plugin.SampleClips', clip_len=8),
    dict(type='r21d_plugin.DecordClipDecode', scale=(64, 64)),
    dict(type='RandomCrop', size=48),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_pipeline = [
    dict(type='r21d_plugin.DecordClipInit'),
    dict(type='r21d_plugin.SampleClips', clip_len=8, num_clips=1, test_mode=True),
    dict(type='r21d_plugin.DecordClipDecode', scale=(64, 64)),
    dict(type='CenterCrop', crop_size=48),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('img_shape', 'filename')),
]
test_pipeline = [
    dict(type='r21d_plugin.DecordClipInit'),
    dict(type='r21d_plugin.SampleClips', clip_len=8, num_clips=10, test_mode=True),
    *val_pipeline[2:],
]

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    sampler=dict(epoch_size=500),
    dataset=dict(
        ann_file=ann_file_train,
        data_prefix=dict(video=data_root),
        num_classes=num_classes,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        ann_file=ann_file_val,
        data_prefix=dict(video=data_root_val),
        num_classes=num_classes,
        pipeline=val_pipeline,
    ),
)
test_dataloader = dict(
    num_workers=2, dataset=dict(val_dataloader['dataset'], pipeline=test_pipeline)
)

# The paper's recipe in small: warm-up, then steps of a tenth.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10, val_interval=10)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(enable=True, base_batch_size=16)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='MultiStepLR', milestones=[7, 9], gamma=0.1),
]

# Kinetics-400 in MMAction2's folder layout; 8-frame clips.
_base_ = ['default_runtime.py', 'recognizer.py', 'dataloaders.py']

num_classes = 400
model = dict(cls_head=dict(num_classes=num_classes))

data_root = 'data/kinetics400/videos_train'
data_root_val = 'data/kinetics400/videos_val'
ann_file_train = 'data/kinetics400/kinetics400_train_list_videos.txt'
ann_file_val = 'data/kinetics400/kinetics400_val_list_videos.txt'

file_client_args = dict(io_backend='disk')
train_pipeline = [
    dict(type='r21d_plugin.DecordClipInit', **file_client_args),
    dict(type='r21d_plugin.SampleClips', clip_len=8),
    dict(type='r21d_plugin.DecordClipDecode', scale=(171, 128)),
    dict(type='RandomCrop', size=112),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
val_pipeline = [
    dict(type='r21d_plugin.DecordClipInit', **file_client_args),
    dict(type='r21d_plugin.SampleClips', clip_len=8, num_clips=1, test_mode=True),
    dict(type='r21d_plugin.DecordClipDecode', scale=(171, 128)),
    dict(type='CenterCrop', crop_size=112),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('img_shape', 'filename')),
]
test_pipeline = [
    dict(type='r21d_plugin.DecordClipInit', **file_client_args),
    dict(type='r21d_plugin.SampleClips', clip_len=8, num_clips=10, test_mode=True),
    *val_pipeline[2:],
]

train_dataloader = dict(
    dataset=dict(
        ann_file=ann_file_train,
        data_prefix=dict(video=data_root),
        num_classes=num_classes,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        ann_file=ann_file_val,
        data_prefix=dict(video=data_root_val),
        num_classes=num_classes,
        pipeline=val_pipeline,
    ),
)
test_dataloader = dict(dataset=dict(val_dataloader['dataset'], pipeline=test_pipeline))
